// SPDX-License-Identifier: Apache-2.0
// Registers of the RP2040 (data sheet RP-008371, sections named below) behind named functions.
#ifndef RP2_RP2040_H
#define RP2_RP2040_H

#include <stdbool.h>
#include <stdint.h>

// ---- subsystem resets, section 2.14: RESET 0x00, RESET_DONE 0x08; a set bit holds the block in reset ----

#define RESETS_BASE 0x4000C000u
#define RESET_ADC (1u << 0)
#define RESET_I2C0 (1u << 3)
#define RESET_I2C1 (1u << 4)
#define RESET_IO_BANK0 (1u << 5)
#define RESET_PADS_BANK0 (1u << 8)
#define RESET_PLL_SYS (1u << 12)
#define RESET_PLL_USB (1u << 13)
#define RESET_PWM (1u << 14)
#define RESET_SPI0 (1u << 16)
#define RESET_SPI1 (1u << 17)
#define RESET_TIMER (1u << 21)
#define RESET_UART0 (1u << 22)
#define RESET_UART1 (1u << 23)
#define RESET_USB (1u << 24)

#define XOSC_BASE 0x40024000u // section 2.16

#define PLL_SYS_BASE 0x40028000u // section 2.18
#define PLL_USB_BASE 0x4002C000u

// ---- clocks, section 2.15.7: a clock's CTRL, then its SELECTED (one bit a source) 8 bytes on ----

#define CLOCKS_BASE 0x40008000u
#define CLOCK_REF 0x30u
#define CLOCK_SYS 0x3Cu
#define CLOCK_PERI 0x48u
#define CLOCK_USB 0x54u
#define CLOCK_ADC 0x60u // its source after reset is the USB PLL: 48 MHz
#define CLOCK_REF_CRYSTAL 2u
#define CLOCK_SYS_REFERENCE 0u
#define CLOCK_SYS_PLL 1u    // the auxiliary source, which is the system PLL after reset
#define CLOCK_ENABLE (1u << 11)

#include "blocks.h"

// ---- pins, section 2.19: IO_BANK0 GPIOn_CTRL 8n + 4 ----

#define IO_BANK0_BASE 0x40014000u
#define PIN_UART 2u
#define PIN_I2C 3u
#define PIN_SIO 5u
#define PIN_NONE 31u
static inline void pin_function(uint32_t pin, uint32_t function) {
    register_write(IO_BANK0_BASE + 8u * pin + 4u, function);
}

// Interrupts of pins, to processor 0: INTR0 0xF0, PROC0_INTE0 0x100, PROC0_INTS0 0x120; eight pins a register, four bits
// each, of which the upper two are the edges (falling, rising) and are cleared by writing INTR.
static inline uint32_t pin_events(uint32_t pin, uint32_t mask) { return mask << 4u * (pin % 8u); }
static inline uint32_t pin_events_register(uint32_t pin, uint32_t first) { return IO_BANK0_BASE + first + 4u * (pin / 8u); }
static inline void pin_interrupt_off(uint32_t pin) {
    register_clear(pin_events_register(pin, 0x100u), pin_events(pin, 0xFu));
}
static inline void pin_interrupt_on(uint32_t pin, uint32_t edges) {
    register_set(pin_events_register(pin, 0x100u), pin_events(pin, edges));
}
static inline void pin_interrupt_clear(uint32_t pin) {
    register_write(pin_events_register(pin, 0xF0u), pin_events(pin, 0xCu));
}
static inline bool pin_interrupt_raised(uint32_t pin) {
    return (register_read(pin_events_register(pin, 0x120u)) & pin_events(pin, 0xFu)) != 0u;
}

// ---- pads, section 2.19: GPIOn 4n + 4 ----

#define PADS_BANK0_BASE 0x4001C000u
#define PAD_INPUT_ENABLE (1u << 6)
#define PAD_DRIVE_4_MA (1u << 4)
#define PAD_PULL_UP (1u << 3)
#define PAD_PULL_DOWN (1u << 2)
#define PAD_SCHMITT (1u << 1)
static inline uint32_t pad_get(uint32_t pin) { return register_read(PADS_BANK0_BASE + 4u * pin + 4u); }
static inline void pad_set(uint32_t pin, uint32_t bits) { register_write(PADS_BANK0_BASE + 4u * pin + 4u, bits); }

// ---- SIO, section 2.3.1: GPIO_IN 0x04, GPIO_OUT 0x10 (SET 0x14, CLR 0x18), GPIO_OE 0x20 (SET 0x24, CLR 0x28) ----

#define SIO_BASE 0xD0000000u
static inline bool sio_get(uint32_t pin) { return (register_read(SIO_BASE + 0x04u) >> pin & 1u) != 0u; }
static inline void sio_set(uint32_t pin, bool high) { register_write(SIO_BASE + (high ? 0x14u : 0x18u), 1u << pin); }
static inline bool sio_pulls_low(uint32_t pin) {
    return (register_read(SIO_BASE + 0x20u) & ~register_read(SIO_BASE + 0x10u) & 1u << pin) != 0u;
}
static inline void sio_drive(uint32_t pin, bool on) { register_write(SIO_BASE + (on ? 0x24u : 0x28u), 1u << pin); }

// ---- watchdog, section 4.7: CTRL 0x00, LOAD 0x04, REASON 0x08, TICK 0x2C ----

#define WATCHDOG_TRIGGER (1u << 31)
#define WATCHDOG_ENABLE (1u << 30)
#define WATCHDOG_LOAD_MAX 0xFFFFFFu
#define WATCHDOG_BY_TIMER 1u
#define WATCHDOG_BY_FORCE 2u

// One tick a microsecond: what timer and watchdog count.
static inline void watchdog_tick(uint32_t base, uint32_t reference_hz) {
    register_write(base + 0x2Cu, reference_hz / 1000000u | 1u << 9);
}
static inline uint32_t watchdog_reason(uint32_t base) { return register_read(base + 0x08u); }

// ---- power-on state machine, section 2.13: WDSEL 0x08, what a watchdog reset resets ----

#define PSM_WDSEL 0x40010008u
#define PSM_EVERYTHING_BUT_OSCILLATORS 0x1FFFCu

// ---- chip reset, section 2.12: CHIP_RESET 0x08 ----

#define CHIP_RESET 0x40064008u
#define CHIP_RESET_POWER_ON (1u << 8)
#define CHIP_RESET_RUN_PIN (1u << 16)

#endif
