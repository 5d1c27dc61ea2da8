// SPDX-License-Identifier: Apache-2.0
// No processor: the simulation calls the interrupt handler itself.
#ifndef SIMULATED_REGISTERS_H
#define SIMULATED_REGISTERS_H
#include <stdint.h>
static inline void nvic_enable(uint32_t irq) { (void)irq; }
static inline void nvic_disable(uint32_t irq) { (void)irq; }
static inline void cpu_data_barrier(void) {}
__attribute__((noreturn)) static inline void scb_reset(void) { __builtin_trap(); }
#endif
