// SPDX-License-Identifier: Apache-2.0
// No interrupt controller: the simulation calls the handler itself.
#include <stdint.h>
static inline void nvic_enable(uint32_t irq) { (void)irq; }
static inline void nvic_disable(uint32_t irq) { (void)irq; }
