// SPDX-License-Identifier: Apache-2.0
// Management port and time base of the RP2350, which both worlds reach. Clocks, pins and resets are the Secure world's, and
// run since boot_security.c started them.
#include "board_config.h"
#include "coffret/board.h"
#include "coffret/section.h"
#include "line.h"
#include "rp2350.h"

MONITOR_BSS static uint64_t started_at;

void board_init(void) {
    line_start(BOARD_PORT_BASE);
    started_at = timer_read(BOARD_TIME_BASE);
}

uint32_t board_ticks(void) { return timer_low(BOARD_TIME_BASE); }

uint64_t board_microseconds(void) { return timer_read(BOARD_TIME_BASE) - started_at; }
