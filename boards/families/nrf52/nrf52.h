// SPDX-License-Identifier: Apache-2.0
// Registers of the nRF52833 (Nordic's Product Specification v1.6; its sections are named below) behind named functions.
// Tasks are started by writing 1, events are cleared by writing 0 (section 6.1).
#ifndef NRF52_H
#define NRF52_H

#include <stdbool.h>
#include <stdint.h>

#include "access.h"

static inline void task_start(uint32_t address) { register_write(address, 1u); }
static inline bool event_happened(uint32_t address) { return register_read(address) != 0u; }
// Read back, so that an interrupt handler does not return before the event is gone (section 6.1.8).
static inline void event_clear(uint32_t address) {
    register_write(address, 0u);
    (void)register_read(address);
}

// ---- clock and power, sections 5.4 and 5.3, one block ----

#define CLOCK 0x40000000u
static inline void crystal_start(void) {
    task_start(CLOCK);
    while (!event_happened(CLOCK + 0x100u)) {
    }
}
#define RESET_WATCHDOG (1u << 1) // RESETREAS, section 5.3.7.14: nothing set is power-on; writing ones clears
#define RESET_SOFTWARE (1u << 2)
static inline uint32_t reset_reasons(void) { return register_read(CLOCK + 0x400u); }
static inline void reset_reasons_clear(uint32_t reasons) { register_write(CLOCK + 0x400u, reasons); }

// ---- flash, section 4.3: READY 0x400, CONFIG 0x504, ERASEPAGE 0x508 ----

#define NVMC 0x4001E000u
enum nvmc_mode { NVMC_READ, NVMC_WRITE, NVMC_ERASE };
static inline void nvmc_wait(void) {
    while ((register_read(NVMC + 0x400u) & 1u) == 0u) {
    }
}
static inline void nvmc_mode(enum nvmc_mode mode) {
    register_write(NVMC + 0x504u, mode);
    nvmc_wait();
}
static inline void nvmc_erase_page(uint32_t address) {
    register_write(NVMC + 0x508u, address);
    nvmc_wait();
}
static inline void nvmc_write(uint32_t address, uint32_t word) {
    register_write(address, word);
    nvmc_wait();
}

// The debug port's protection, kept as flash is (section 4.5.1.4): zeros in the lowest byte close it in every revision.
#define UICR_APPROTECT 0x10001208u

// ---- access control lists, section 4.4.4: ADDR 0x800, SIZE 0x804, PERM 0x808, 16 bytes a region ----

#define ACL_NO_WRITE (1u << 1)
#define ACL_NO_READ (1u << 2)
static inline void acl_close(uint32_t region, uint32_t address, uint32_t size, uint32_t what) {
    uint32_t at = NVMC + 0x800u + 16u * region;
    register_write(at, address);
    register_write(at + 4u, size);
    register_write(at + 8u, what);
}

// ---- pins, section 6.8: port 0 and, 0x300 behind it, port 1. A pin's number is 32 x port + pin ----

#define GPIO_OUT 0x504u
#define GPIO_OUTSET 0x508u
#define GPIO_OUTCLR 0x50Cu
#define GPIO_IN 0x510u
#define GPIO_LATCH 0x520u
#define GPIO_DETECTMODE 0x524u
#define GPIO_CONFIG 0x700u

#define PIN_OUTPUT_BIT 1u
#define PIN_NO_INPUT (1u << 1)
#define PIN_DOWN (1u << 2)
#define PIN_UP (3u << 2)
#define PIN_PULLS (3u << 2)
#define PIN_LOW_ONLY (6u << 8) // drive: standard low, high disconnected
#define PIN_SENSE_HIGH (2u << 16)
#define PIN_SENSE_LOW (3u << 16)
#define PIN_SENSES (3u << 16)

static inline uint32_t gpio_port(uint32_t pin) { return 0x50000000u + 0x300u * (pin / 32u); }
static inline uint32_t gpio_bit(uint32_t pin) { return 1u << pin % 32u; }
static inline uint32_t pin_config(uint32_t pin) { return register_read(gpio_port(pin) + GPIO_CONFIG + 4u * (pin % 32u)); }
static inline void pin_configure(uint32_t pin, uint32_t config) {
    register_write(gpio_port(pin) + GPIO_CONFIG + 4u * (pin % 32u), config);
}
static inline void pin_write(uint32_t pin, bool high) {
    register_write(gpio_port(pin) + (high ? GPIO_OUTSET : GPIO_OUTCLR), gpio_bit(pin));
}
static inline bool pin_read(uint32_t pin) { return (register_read(gpio_port(pin) + GPIO_IN) & gpio_bit(pin)) != 0u; }
static inline bool pin_output(uint32_t pin) { return (register_read(gpio_port(pin) + GPIO_OUT) & gpio_bit(pin)) != 0u; }
// A pin that met its sense is latched until it is cleared (section 6.8.1); each port tells the interrupt of section 6.9.
static inline bool pin_latched(uint32_t pin) { return (register_read(gpio_port(pin) + GPIO_LATCH) & gpio_bit(pin)) != 0u; }
static inline void pin_unlatch(uint32_t pin) { register_write(gpio_port(pin) + GPIO_LATCH, gpio_bit(pin)); }

#define GPIOTE 0x40006000u
static inline void pins_interrupt_start(void) {
    register_write(gpio_port(0u) + GPIO_DETECTMODE, 1u);  // from the latch, not from the pins
    register_write(gpio_port(32u) + GPIO_DETECTMODE, 1u);
    register_write(GPIOTE + 0x304u, 1u << 31);
}
static inline void pins_interrupt_clear(void) { event_clear(GPIOTE + 0x17Cu); }

// ---- UART 0, a byte at a time (section 6.33), and UARTE 1, by DMA of one byte (section 6.34) ----

#define UART_STARTRX 0x000u
#define UART_STARTTX 0x008u
#define UART_RXDRDY 0x108u
#define UART_TXDRDY 0x11Cu
#define UARTE_ENDRX 0x110u
#define UARTE_ENDTX 0x120u
#define UART_INTENSET 0x304u
#define UART_INTENCLR 0x308u
#define UART_ENABLE 0x500u
#define UART_PSEL_TXD 0x50Cu
#define UART_PSEL_RXD 0x514u
#define UART_RXD 0x518u
#define UART_TXD 0x51Cu
#define UART_BAUDRATE 0x524u
#define UARTE_RXD_PTR 0x534u // MAXCNT behind it
#define UARTE_TXD_PTR 0x544u
#define UART_ENABLE_UART 4u
#define UART_ENABLE_UARTE 8u

// ---- timers of 32 bits, section 6.30: START 0x000, STOP 0x004, CLEAR 0x00C, CAPTURE[0] 0x040, COMPARE[0] 0x140,
// SHORTS 0x200, INTENSET 0x304, INTENCLR 0x308, BITMODE 0x508, PRESCALER 0x510, CC[0] 0x540 ----

static inline void timer_stop(uint32_t base) {
    task_start(base + 0x004u);
    register_write(base + 0x308u, 1u << 16);
    register_write(base + 0x200u, 0u);
}
// From 0 on, a microsecond a step.
static inline void timer_run_freely(uint32_t base) {
    register_write(base + 0x508u, 3u);
    register_write(base + 0x510u, 4u); // 16 MHz / 16
    task_start(base + 0x00Cu);
    task_start(base);
}
static inline uint32_t timer_microseconds(uint32_t base) {
    task_start(base + 0x040u);
    return register_read(base + 0x540u);
}
// Begins anew every `us` microseconds, with an interrupt.
static inline void timer_run_periodically(uint32_t base, uint32_t us) {
    register_write(base + 0x540u, us);
    event_clear(base + 0x140u);
    register_write(base + 0x200u, 1u);
    register_write(base + 0x304u, 1u << 16);
    timer_run_freely(base);
}
static inline bool timer_interrupt_raised(uint32_t base) { return event_happened(base + 0x140u); }
static inline void timer_clear_interrupt(uint32_t base) { event_clear(base + 0x140u); }

// ---- watchdog, section 6.36: START 0x000, CRV 0x504, RREN 0x508, CONFIG 0x50C, RR[0] 0x600 ----

static inline void watchdog_start(uint32_t base, uint32_t ticks) { // of 32,768 Hz
    register_write(base + 0x50Cu, 1u); // also while the processor sleeps, not while a debugger has stopped it
    register_write(base + 0x504u, ticks);
    register_write(base + 0x508u, 1u);
    task_start(base);
}
static inline void watchdog_feed(uint32_t base) { register_write(base + 0x600u, 0x6E524635u); }

// ---- random numbers, section 6.19: START 0x000, STOP 0x004, VALRDY 0x100, CONFIG 0x504, VALUE 0x508 ----

#define RNG 0x4000D000u
static inline void random_start(void) {
    register_write(RNG + 0x504u, 1u); // bias is corrected
    event_clear(RNG + 0x100u);
    task_start(RNG);
}
static inline bool random_ready(void) { return event_happened(RNG + 0x100u); }
static inline uint8_t random_take(void) {
    event_clear(RNG + 0x100u);
    return (uint8_t)register_read(RNG + 0x508u);
}
static inline void random_stop(void) { task_start(RNG + 0x004u); }

#endif
