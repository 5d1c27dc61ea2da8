// SPDX-License-Identifier: Apache-2.0
// How the drivers of the family reach a register: one place, which a host build replaces (tests/boards/simulated_nrf52).
#ifndef NRF52_ACCESS_H
#define NRF52_ACCESS_H

#include <stdint.h>

static inline uint32_t register_read(uint32_t address) { return *(const volatile uint32_t *)address; }
static inline void register_write(uint32_t address, uint32_t value) { *(volatile uint32_t *)address = value; }

#endif
