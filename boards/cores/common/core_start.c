// SPDX-License-Identifier: Apache-2.0
// The core from the monitor's first line to its idle loop.
#include "core_parts.h"

_Static_assert(BOARD_MPU_REGIONS >= 8u, "the map of docs/internals.md needs eight regions");

void core_start(uint32_t tick_hz) {
    if (mpu_regions() < BOARD_MPU_REGIONS) {
        monitor_panic(); // without the unit every promise is void
    }
    scb_set_vector_table(core_vector_table());
    for (uint32_t irq = 0; irq < BOARD_EXTERNAL_INTERRUPTS; irq++) {
        nvic_disable(irq);
        nvic_clear_pending(irq);
        nvic_set_priority(irq, PRIORITY_MONITOR);
    }
    scb_set_exception_priority(EXCEPTION_SVCALL, PRIORITY_MONITOR);
    scb_set_exception_priority(EXCEPTION_PENDSV, PRIORITY_MONITOR);
    scb_set_exception_priority(EXCEPTION_SYSTICK, PRIORITY_MONITOR);
    core_faults_start();
    core_protection_start();
    systick_start(BOARD_CLOCK_HZ / tick_hz);
    scb_pend_tick(); // the first decision needs no wait
}

void core_idle(void) {
    cpu_interrupts_enable();
    for (;;) {
        cpu_wait_for_interrupt();
    }
}
