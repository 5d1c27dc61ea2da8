// SPDX-License-Identifier: Apache-2.0
// Time base, watchdog and reset of the MPS2 boards.
#include "board_config.h"
#include "cmsdk.h"
#include "coffret/board.h"
#include "coffret/section.h"
#include "line.h"
#include "registers.h"

MONITOR_BSS static struct {
    uint32_t ticks;     // of the counter, at the last call
    uint32_t remainder; // ticks that were no whole microsecond yet
    uint64_t us;
} clock;

void board_init(void) {
    timer_run_freely(BOARD_TIME_BASE);
    clock.ticks = 0u;
    clock.remainder = 0u;
    clock.us = 0u;
    line_start(BOARD_PORT_BASE);
}

uint32_t board_ticks(void) { return timer_elapsed(BOARD_TIME_BASE); }

uint64_t board_microseconds(void) {
    uint32_t now = board_ticks();
    uint32_t passed = now - clock.ticks; // right across one wrap
    clock.ticks = now;
    // No 64-bit division: `passed` plus a remainder below BOARD_TICKS_PER_US may wrap 32 bits, so it is split.
    uint32_t whole = passed / BOARD_TICKS_PER_US;
    clock.remainder += passed % BOARD_TICKS_PER_US;
    // Without a branch: fixed time slices promise that nobody's instructions depend on when the clock was read before.
    uint32_t carry = clock.remainder >= BOARD_TICKS_PER_US;
    clock.remainder -= carry * BOARD_TICKS_PER_US;
    clock.us += whole + carry;
    return clock.us;
}

void board_reset(void) { scb_reset(); }

size_t board_entropy(uint8_t *data, size_t length) {
    (void)data;
    (void)length;
    return 0; // the AN385 image has no random number generator
}

bool board_watchdog_start(uint32_t timeout_ms) {
    // Two expiries to a reset (interrupt, then reset), so each is half of it.
    uint32_t ms = timeout_ms / 2u;
    if (ms == 0u || ms > 0xFFFFFFFFu / (BOARD_CLOCK_HZ / 1000u)) {
        return false;
    }
    watchdog_start(BOARD_WATCHDOG_BASE, ms * (BOARD_CLOCK_HZ / 1000u));
    return true;
}

void board_watchdog_feed(void) { watchdog_feed(BOARD_WATCHDOG_BASE); }
