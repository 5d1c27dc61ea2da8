// SPDX-License-Identifier: Apache-2.0
// Arm's PrimeCell SSP (PL022, DDI 0194), which several families have, as an SPI controller. Registers: CR0 0x00, CR1 0x04,
// DR 0x08, SR 0x0C, CPSR 0x10 (section 3.3). Unprivileged: for the drivers of enclaves.
#ifndef COFFRET_PL022_H
#define COFFRET_PL022_H

#include <stdbool.h>
#include <stdint.h>

static inline volatile uint32_t *pl022_register(uint32_t base, uint32_t offset) {
    return (volatile uint32_t *)(base + offset);
}

static inline void pl022_stop(uint32_t base) { *pl022_register(base, 0x04u) = 0u; }

// Bits of eight, at most `hz` of a block that is clocked with `clock_hz`. Returns the true rate, 0: it cannot be so slow.
// Clock / (prescaler x (1 + divider)), the prescaler even from 2 to 254, the divider below 256.
static inline uint32_t pl022_start(uint32_t base, uint32_t clock_hz, uint32_t hz, bool polarity, bool phase) {
    for (uint32_t prescaler = 2; prescaler <= 254u; prescaler += 2u) {
        uint32_t divider = (clock_hz + prescaler * hz - 1u) / (prescaler * hz); // rounded up: never faster
        if (divider <= 256u) {
            divider = divider == 0u ? 1u : divider;
            pl022_stop(base);
            *pl022_register(base, 0x10u) = prescaler;
            *pl022_register(base, 0x00u) = (divider - 1u) << 8 | (uint32_t)phase << 7 | (uint32_t)polarity << 6 | 7u;
            *pl022_register(base, 0x04u) = 1u << 1;
            return clock_hz / (prescaler * divider);
        }
    }
    return 0;
}

// One byte out and one in; the receive FIFO is empty before and after.
static inline uint8_t pl022_exchange(uint32_t base, uint8_t byte) {
    *pl022_register(base, 0x08u) = byte;
    while ((*pl022_register(base, 0x0Cu) & 1u << 2) == 0u) { // nothing received yet
    }
    return (uint8_t)*pl022_register(base, 0x08u);
}

#endif
