// SPDX-License-Identifier: Apache-2.0
// Watchdog and reset of the RP2350, in the Secure world. Its block also holds the scratch registers by which the boot ROM
// can be told to jump anywhere, in the Secure world, after a reset (data sheet, section 5.2.4): the image
// gets a gateway instead of the block.
#include "board_config.h"
#include "coffret/board.h"
#include "coffret/section.h"
#include "registers.h"
#include "rp2350.h"

MONITOR_BSS static uint32_t load; // microseconds; 0: not started

bool board_watchdog_start(uint32_t timeout_ms) {
    if (timeout_ms == 0u || timeout_ms > WATCHDOG_LOAD_MAX / 1000u) {
        return false;
    }
    load = timeout_ms * 1000u;
    watchdog_resets(PSM_EVERYTHING_BUT_OSCILLATORS);
    board_watchdog_feed();
    watchdog_control(BOARD_WATCHDOG_BASE, WATCHDOG_ENABLE);
    return true;
}

void board_watchdog_feed(void) {
    if (load != 0u) {
        watchdog_load(BOARD_WATCHDOG_BASE, load);
    }
}

// Everything is reset, clocks and access control included; SYSRESETREQ would leave them as they are.
void board_reset(void) {
    cpu_interrupts_disable();
    watchdog_resets(PSM_EVERYTHING_BUT_OSCILLATORS);
    watchdog_control(BOARD_WATCHDOG_BASE, WATCHDOG_TRIGGER);
    for (;;) {
        cpu_data_barrier();
    }
}

// An image's own reset comes by the timer too: the gateway gives it the watchdog, with a millisecond to go.
enum board_reset_cause board_reset_cause(void) {
    uint32_t reason = watchdog_reason(BOARD_WATCHDOG_BASE);
    if ((reason & WATCHDOG_BY_FORCE) != 0u) {
        return BOARD_RESET_SOFTWARE;
    }
    return (reason & WATCHDOG_BY_TIMER) != 0u ? BOARD_RESET_WATCHDOG : BOARD_RESET_POWER_ON;
}
