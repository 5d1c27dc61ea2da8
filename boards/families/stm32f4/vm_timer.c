// SPDX-License-Identifier: Apache-2.0
// Timer 5 (section 18) as an enclave drives it: microseconds up to a period, again and again.
#include "board_config.h"
#include "machine/driver.h"
#include "stm32f4.h"

bool driver_timer_start(uint32_t base, uint32_t us) {
    if (us == 0u) {
        return false;
    }
    timer_stop(base);
    timer_run(base, BOARD_CLOCK_HZ, us - 1u);
    timer_clear_interrupt(base);
    timer_interrupt(base);
    return true;
}

void driver_timer_stop(uint32_t base) { timer_stop(base); }

bool driver_timer_clear(uint32_t base) {
    bool raised = timer_interrupt_raised(base);
    timer_clear_interrupt(base);
    return raised;
}
