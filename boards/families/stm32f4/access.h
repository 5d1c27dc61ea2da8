// SPDX-License-Identifier: Apache-2.0
// How the drivers of the family reach a register: one place, which a host build replaces (tests/boards/simulated_stm32f4).
#ifndef STM32F4_ACCESS_H
#define STM32F4_ACCESS_H

#include <stdint.h>

static inline uint32_t register_read(uint32_t address) { return *(const volatile uint32_t *)address; }
static inline void register_write(uint32_t address, uint32_t value) { *(volatile uint32_t *)address = value; }

#endif
