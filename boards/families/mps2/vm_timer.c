// SPDX-License-Identifier: Apache-2.0
// A CMSDK timer as an enclave drives it: counts the system clock down, again and again.
#include "board_config.h"
#include "cmsdk.h"
#include "machine/driver.h"

#define TICKS_PER_US (BOARD_CLOCK_HZ / 1000000u)

bool driver_timer_start(uint32_t base, uint32_t us) {
    if (us > 0xFFFFFFFFu / TICKS_PER_US) {
        return false;
    }
    timer_start(base, us * TICKS_PER_US);
    return true;
}

void driver_timer_stop(uint32_t base) { timer_stop(base); }

bool driver_timer_clear(uint32_t base) {
    bool raised = timer_interrupt_raised(base);
    timer_clear_interrupt(base);
    return raised;
}
