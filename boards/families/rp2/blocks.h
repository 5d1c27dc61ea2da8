// SPDX-License-Identifier: Apache-2.0
// Blocks that RP2040 and RP2350 share, behind named functions: the same registers at other addresses, which the part's own
// header defines before it includes this one. Two section numbers: RP2040 data sheet (RP-008371), RP2350's (RP-008373).
#ifndef RP2_BLOCKS_H
#define RP2_BLOCKS_H

#include <stdbool.h>
#include <stdint.h>

#include "access.h"

// Peripheral registers answer at four addresses (sections 2.1.2 and 2.1.3): as they are, and as writes that flip, set or clear.
#define ALIAS_SET 0x2000u
#define ALIAS_CLEAR 0x3000u

static inline void register_set(uint32_t address, uint32_t bits) { register_write(address + ALIAS_SET, bits); }
static inline void register_clear(uint32_t address, uint32_t bits) { register_write(address + ALIAS_CLEAR, bits); }

// ---- subsystem resets, sections 2.14 and 7.5: RESET 0x00, RESET_DONE 0x08; a set bit holds the block in reset ----

static inline void block_reset(uint32_t blocks) { register_set(RESETS_BASE, blocks); }
static inline bool block_in_reset(uint32_t blocks) { return (register_read(RESETS_BASE) & blocks) != 0u; }
static inline void block_release(uint32_t blocks) {
    register_clear(RESETS_BASE, blocks);
    while ((register_read(RESETS_BASE + 0x08u) & blocks) != blocks) {
    }
}

// ---- crystal oscillator, sections 2.16 and 8.2: CTRL 0x00, STATUS 0x04, STARTUP 0x0C ----

static inline void xosc_start(uint32_t hz) {
    register_write(XOSC_BASE, 0xAA0u);                                 // 1 to 15 MHz
    register_write(XOSC_BASE + 0x0Cu, (hz / 1000u + 128u) / 256u);     // 1 ms, in units of 256 cycles
    register_write(XOSC_BASE, 0xAA0u | 0xFABu << 12);                  // enable
    while ((register_read(XOSC_BASE + 0x04u) & 1u << 31) == 0u) {      // stable
    }
}

// ---- PLLs, sections 2.18 and 8.6: CS 0x00, PWR 0x04, FBDIV_INT 0x08, PRIM 0x0C ----

#define PLL_POWER_DOWN 1u
#define PLL_POST_DIVIDER_DOWN (1u << 3)
#define PLL_VCO_DOWN (1u << 5)

// Output = reference x feedback / (first x second); the block has just left its reset.
static inline void pll_start(uint32_t base, uint32_t feedback, uint32_t first, uint32_t second) {
    register_write(base, 1u); // the reference is not divided
    register_write(base + 0x08u, feedback);
    register_clear(base + 0x04u, PLL_POWER_DOWN | PLL_VCO_DOWN);
    while ((register_read(base) & 1u << 31) == 0u) { // locked
    }
    register_write(base + 0x0Cu, first << 16 | second << 12);
    register_clear(base + 0x04u, PLL_POST_DIVIDER_DOWN);
}

// ---- clocks, sections 2.15.7 and 8.1.7 ----

// For the two clocks that change over without a glitch.
static inline void clock_switch(uint32_t clock, uint32_t source) {
    register_write(CLOCKS_BASE + clock, source);
    while ((register_read(CLOCKS_BASE + clock + 8u) & 1u << source) == 0u) {
    }
}
static inline void clock_enable(uint32_t clock) { register_write(CLOCKS_BASE + clock, CLOCK_ENABLE); }

// ---- timer, sections 4.6 and 12.8: microseconds; TIMERAWH 0x24, TIMERAWL 0x28 ----

static inline uint32_t timer_low(uint32_t base) { return register_read(base + 0x28u); }
static inline uint64_t timer_read(uint32_t base) {
    uint32_t high = register_read(base + 0x24u);
    for (;;) {
        uint32_t low = timer_low(base);
        uint32_t again = register_read(base + 0x24u);
        if (again == high) {
            return (uint64_t)high << 32 | low;
        }
        high = again; // the low half wrapped in between
    }
}

// ---- UART (PL011), sections 4.2 and 12.1: DR 0x00, FR 0x18, IBRD 0x24, FBRD 0x28, LCR_H 0x2C, CR 0x30, IMSC 0x38, ICR 0x44 ----

#define UART_RECEIVE (1u << 4 | 1u << 6) // level reached, or bytes have waited for 32 bit times
#define UART_TRANSMIT (1u << 5)
#define UART_BUSY (1u << 3)
#define UART_RECEIVE_EMPTY (1u << 4)
#define UART_TRANSMIT_FULL (1u << 5)

static inline bool uart_rx_empty(uint32_t base) { return (register_read(base + 0x18u) & UART_RECEIVE_EMPTY) != 0u; }
static inline bool uart_tx_full(uint32_t base) { return (register_read(base + 0x18u) & UART_TRANSMIT_FULL) != 0u; }
static inline bool uart_busy(uint32_t base) { return (register_read(base + 0x18u) & UART_BUSY) != 0u; }
static inline uint8_t uart_get(uint32_t base) { return (uint8_t)register_read(base); }
static inline void uart_put(uint32_t base, uint8_t byte) { register_write(base, byte); }
static inline void uart_interrupts(uint32_t base, uint32_t which) { register_write(base + 0x38u, which); }
static inline void uart_clear(uint32_t base, uint32_t which) { register_write(base + 0x44u, which); }
// 8N1 with FIFOs, interrupts off.
static inline void uart_start(uint32_t base, uint32_t clock_hz, uint32_t baud) {
    uint32_t divider = (clock_hz * 4u + baud / 2u) / baud; // in 64ths of 16 clocks a bit
    uart_interrupts(base, 0u);
    register_write(base + 0x24u, divider >> 6);
    register_write(base + 0x28u, divider & 63u);
    register_write(base + 0x2Cu, 3u << 5 | 1u << 4);
    register_write(base + 0x30u, 1u << 9 | 1u << 8 | 1u);
}

#endif
