// SPDX-License-Identifier: Apache-2.0
// Registers of the CMSDK peripherals (Arm DDI 0479), behind named functions. `base` is the device's address.
#ifndef MPS2_CMSDK_H
#define MPS2_CMSDK_H

#include <stdbool.h>
#include <stdint.h>

static inline volatile uint32_t *cmsdk_register(uint32_t base, uint32_t offset) {
    return (volatile uint32_t *)(base + offset);
}

// ---- UART, section 4.3: DATA 0x00, STATE 0x04, CTRL 0x08, INTSTATUS/INTCLEAR 0x0C, BAUDDIV 0x10 ----

#define UART_TX_ENABLE 1u
#define UART_RX_ENABLE 2u
#define UART_TX_INTERRUPT 4u
#define UART_RX_INTERRUPT 8u

static inline bool uart_tx_full(uint32_t base) { return (*cmsdk_register(base, 0x04u) & 1u) != 0u; }
static inline bool uart_rx_full(uint32_t base) { return (*cmsdk_register(base, 0x04u) & 2u) != 0u; }
static inline uint8_t uart_get(uint32_t base) { return (uint8_t)*cmsdk_register(base, 0x00u); }
static inline void uart_put(uint32_t base, uint8_t byte) { *cmsdk_register(base, 0x00u) = byte; }
static inline void uart_control(uint32_t base, uint32_t control) { *cmsdk_register(base, 0x08u) = control; }
static inline void uart_clear_tx_interrupt(uint32_t base) { *cmsdk_register(base, 0x0Cu) = 1u; }
static inline void uart_clear_rx_interrupt(uint32_t base) { *cmsdk_register(base, 0x0Cu) = 2u; }
// The divider must be 16 at least, or the device does not run.
static inline void uart_divider(uint32_t base, uint32_t divider) { *cmsdk_register(base, 0x10u) = divider; }

// ---- SBCon I2C of the FPGA (Arm DAI 0385 section 3.8): CONTROLS 0x00 lets lines go, bit 0 SCL, bit 1 SDA ----

static inline void sbcon_release(uint32_t base) { *cmsdk_register(base, 0x00u) = 3u; }

// ---- timer, section 4.4: CTRL 0x00, VALUE 0x04, RELOAD 0x08. Counts down ----

static inline void timer_run_freely(uint32_t base) {
    *cmsdk_register(base, 0x00u) = 0u;
    *cmsdk_register(base, 0x08u) = 0xFFFFFFFFu;
    *cmsdk_register(base, 0x04u) = 0xFFFFFFFFu;
    *cmsdk_register(base, 0x00u) = 1u; // enable; no interrupt, internal clock
}
// INTSTATUS/INTCLEAR 0x0C
static inline void timer_stop(uint32_t base) {
    *cmsdk_register(base, 0x00u) = 0u;
    *cmsdk_register(base, 0x0Cu) = 1u;
}
static inline void timer_start(uint32_t base, uint32_t ticks) {
    timer_stop(base);
    *cmsdk_register(base, 0x08u) = ticks - 1u;
    *cmsdk_register(base, 0x04u) = ticks - 1u;
    *cmsdk_register(base, 0x00u) = 1u | 1u << 3; // enable, with its interrupt
}
static inline bool timer_interrupt_raised(uint32_t base) { return (*cmsdk_register(base, 0x0Cu) & 1u) != 0u; }
static inline void timer_clear_interrupt(uint32_t base) { *cmsdk_register(base, 0x0Cu) = 1u; }
static inline uint32_t timer_elapsed(uint32_t base) { return 0xFFFFFFFFu - *cmsdk_register(base, 0x04u); }

// ---- GPIO, section 4.1: DATA 0x00, DATAOUT 0x04, OUTENSET 0x10, ALTFUNCSET 0x18, INTENSET 0x20, INTTYPESET 0x28, INTPOLSET 0x30 (each
// with its clear register behind it), INTSTATUS/INTCLEAR 0x38, MASKLOWBYTE 0x400, MASKHIGHBYTE 0x800 (a word for each
// mask of eight pins: its bits alone are written) ----

static inline bool gpio_read(uint32_t base, uint32_t pin) { return (*cmsdk_register(base, 0x00u) >> pin & 1u) != 0u; }
static inline void gpio_write(uint32_t base, uint32_t pin, bool high) {
    uint32_t page = pin < 8u ? 0x400u : 0x800u;
    *cmsdk_register(base, page + (4u << pin % 8u)) = (uint32_t)high << pin;
}
static inline void gpio_output(uint32_t base, uint32_t pin, bool on) {
    *cmsdk_register(base, on ? 0x10u : 0x14u) = 1u << pin;
}
// What it was set to; not driven is high.
static inline bool gpio_output_level(uint32_t base, uint32_t pin) {
    uint32_t pulled_low = *cmsdk_register(base, 0x10u) & ~*cmsdk_register(base, 0x04u);
    return (pulled_low >> pin & 1u) == 0u;
}
static inline void gpio_alternate(uint32_t base, uint32_t pin, bool on) {
    *cmsdk_register(base, on ? 0x18u : 0x1Cu) = 1u << pin;
}
static inline void gpio_interrupt_off(uint32_t base, uint32_t pin) { *cmsdk_register(base, 0x24u) = 1u << pin; }
static inline void gpio_interrupt_on_edge(uint32_t base, uint32_t pin, bool rising) {
    *cmsdk_register(base, 0x28u) = 1u << pin;                    // an edge, not a level
    *cmsdk_register(base, rising ? 0x30u : 0x34u) = 1u << pin;
    *cmsdk_register(base, 0x38u) = 1u << pin;                    // what came before counts no more
    *cmsdk_register(base, 0x20u) = 1u << pin;
}
static inline bool gpio_interrupt_raised(uint32_t base, uint32_t pin) {
    return (*cmsdk_register(base, 0x38u) >> pin & 1u) != 0u;
}
static inline void gpio_interrupt_clear(uint32_t base, uint32_t pin) { *cmsdk_register(base, 0x38u) = 1u << pin; }

// ---- watchdog, section 4.6: LOAD 0x00, CONTROL 0x08, INTCLR 0x0C, LOCK 0xC00 ----

#define WATCHDOG_UNLOCK 0x1ACCE551u

static inline void watchdog_start(uint32_t base, uint32_t cycles) {
    *cmsdk_register(base, 0xC00u) = WATCHDOG_UNLOCK;
    *cmsdk_register(base, 0x00u) = cycles;
    *cmsdk_register(base, 0x08u) = 3u; // first expiry raises the interrupt, the second resets
    *cmsdk_register(base, 0xC00u) = 0u;
}
static inline void watchdog_feed(uint32_t base) {
    *cmsdk_register(base, 0xC00u) = WATCHDOG_UNLOCK;
    *cmsdk_register(base, 0x0Cu) = 1u; // clears the interrupt and reloads
    *cmsdk_register(base, 0xC00u) = 0u;
}

// ---- system controller, section 4.2: RSTINFO 0x10, write one to clear ----

#ifdef BOARD_SYSTEM_CONTROLLER_BASE
static inline uint32_t reset_information(void) { return *cmsdk_register(BOARD_SYSTEM_CONTROLLER_BASE, 0x10u); }
static inline void clear_reset_information(uint32_t bits) {
    *cmsdk_register(BOARD_SYSTEM_CONTROLLER_BASE, 0x10u) = bits;
}
#endif

#endif
