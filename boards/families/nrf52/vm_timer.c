// SPDX-License-Identifier: Apache-2.0
// A timer (section 6.30) as an enclave drives it. What it could set off elsewhere goes by the PPI, which is the monitor's.
#include "machine/driver.h"
#include "nrf52.h"

bool driver_timer_start(uint32_t base, uint32_t us) {
    if (us == 0u) {
        return false;
    }
    timer_stop(base);
    timer_run_periodically(base, us);
    return true;
}

void driver_timer_stop(uint32_t base) { timer_stop(base); }

bool driver_timer_clear(uint32_t base) {
    bool raised = timer_interrupt_raised(base);
    timer_clear_interrupt(base);
    return raised;
}
