// SPDX-License-Identifier: Apache-2.0
// Interrupts of devices that enclaves drive; a file of its own, so that an image without any is as if it was not there.
#include "coffret/core.h"
#include "registers.h"

void core_interrupt_enable(uint32_t irq) { nvic_enable(irq); }
void core_interrupt_disable(uint32_t irq) { nvic_disable(irq); }
