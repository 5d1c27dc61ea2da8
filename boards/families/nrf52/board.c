// SPDX-License-Identifier: Apache-2.0
// Clock, time base, watchdog, random numbers and reset of the nRF52833.
#include "board_config.h"
#include "coffret/board.h"
#include "coffret/section.h"
#include "line.h"
#include "nrf52.h"
#include "registers.h"

MONITOR_BSS struct line_state line_states[2];

MONITOR_BSS static struct {
    uint32_t low; // at the last call
    uint32_t high;
} time;

void board_init(void) {
    crystal_start(); // the part runs without, but its UART's rate is then the internal oscillator's
    timer_stop(BOARD_TIME_BASE);
    timer_run_freely(BOARD_TIME_BASE);
    time.low = 0u;
    time.high = 0u;
    line_start(BOARD_PORT_BASE);
}

uint32_t board_ticks(void) { return timer_microseconds(BOARD_TIME_BASE); }

uint64_t board_microseconds(void) {
    uint32_t now = board_ticks();
    time.high += now < time.low ? 1u : 0u; // right across one wrap, which is 71 minutes
    time.low = now;
    return (uint64_t)time.high << 32 | now;
}

void board_reset(void) { scb_reset(); }

enum board_reset_cause board_reset_cause(void) {
    uint32_t reasons = reset_reasons();
    reset_reasons_clear(reasons);
    if ((reasons & RESET_WATCHDOG) != 0u) {
        return BOARD_RESET_WATCHDOG;
    }
    if ((reasons & RESET_SOFTWARE) != 0u) {
        return BOARD_RESET_SOFTWARE;
    }
    return reasons == 0u ? BOARD_RESET_POWER_ON : BOARD_RESET_UNKNOWN;
}

// 120 microseconds a byte with correction (section 6.19.3); a generator that takes ten times as long is broken.
#define RANDOM_PATIENCE_US 1200u

size_t board_entropy(uint8_t *data, size_t length) {
    size_t done = 0;
    random_start();
    for (uint64_t begin = board_microseconds(); done < length && board_microseconds() - begin < RANDOM_PATIENCE_US;) {
        if (random_ready()) {
            data[done++] = random_take();
            begin = board_microseconds();
        }
    }
    random_stop();
    return done == length ? done : 0u;
}

bool board_watchdog_start(uint32_t timeout_ms) {
    if (timeout_ms == 0u || timeout_ms > 0xFFFFFFFFu / 32768u) {
        return false;
    }
    watchdog_start(BOARD_WATCHDOG_BASE, timeout_ms * 32768u / 1000u); // at least 15 of its ticks (section 6.36.3)
    return true;
}

void board_watchdog_feed(void) { watchdog_feed(BOARD_WATCHDOG_BASE); }
