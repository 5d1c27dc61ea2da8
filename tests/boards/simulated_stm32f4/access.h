// SPDX-License-Identifier: Apache-2.0
// Stands in for families/stm32f4/access.h (included first, under its guard): each access is a call of whoever simulates it.
#define STM32F4_ACCESS_H
#include <stdint.h>
extern uint32_t (*simulated_read)(uint32_t address);
extern void (*simulated_write)(uint32_t address, uint32_t value);
static inline uint32_t register_read(uint32_t address) { return simulated_read(address); }
static inline void register_write(uint32_t address, uint32_t value) { simulated_write(address, value); }
