// SPDX-License-Identifier: Apache-2.0
// How the drivers of both families reach a register: one place, which a host build replaces (tests/boards/simulated_rp2350).
#ifndef RP2_ACCESS_H
#define RP2_ACCESS_H

#include <stdint.h>

static inline uint32_t register_read(uint32_t address) { return *(const volatile uint32_t *)address; }
static inline void register_write(uint32_t address, uint32_t value) { *(volatile uint32_t *)address = value; }

#endif
