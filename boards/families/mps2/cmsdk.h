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

// ---- timer, section 4.4: CTRL 0x00, VALUE 0x04, RELOAD 0x08. Counts down ----

static inline void timer_run_freely(uint32_t base) {
    *cmsdk_register(base, 0x00u) = 0u;
    *cmsdk_register(base, 0x08u) = 0xFFFFFFFFu;
    *cmsdk_register(base, 0x04u) = 0xFFFFFFFFu;
    *cmsdk_register(base, 0x00u) = 1u; // enable; no interrupt, internal clock
}
static inline uint32_t timer_elapsed(uint32_t base) { return 0xFFFFFFFFu - *cmsdk_register(base, 0x04u); }

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
