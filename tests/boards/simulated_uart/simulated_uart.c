// SPDX-License-Identifier: Apache-2.0
// The line of line.h, and a reader that waits as the monitor's does: only when it was told "nothing", until it is woken.
#include "line.h"

#include <string.h>

#include "board_config.h"
#include "coffret/board.h"

static struct {
    const uint8_t *bytes, *gaps; // what comes, and after how many looks each
    size_t length, came;
    uint8_t looks, held;
    bool full, wanted, latched;
} uart;

uint64_t board_microseconds(void) { return 0; }

// True when a byte has come.
static bool look(void) {
    if (uart.full || uart.came == uart.length || uart.looks++ < uart.gaps[uart.came]) {
        return false;
    }
    uart.looks = 0;
    uart.held = uart.bytes[uart.came++];
    uart.full = true;
    uart.latched |= uart.wanted;
    return true;
}

bool line_received(uint32_t base) {
    (void)base;
    (void)look();
    return uart.full;
}

uint8_t line_get(uint32_t base) {
    (void)base;
    uart.full = false;
    return uart.held;
}

void line_interrupts(uint32_t base, bool receive, bool transmit) {
    (void)base, (void)transmit;
    uart.wanted = receive;
}

void line_acknowledge(uint32_t base, bool received, bool sent) {
    (void)base, (void)sent;
    uart.latched &= !received;
}

// Returns how many bytes the reader had when the sender had nothing more and nobody would wake the reader any more.
size_t simulate(const uint8_t *bytes, const uint8_t *gaps, size_t length, uint8_t *out, size_t capacity) {
    memset(&uart, 0, sizeof uart);
    uart.bytes = bytes, uart.gaps = gaps, uart.length = length;
    board_port_use_interrupts();
    size_t read = 0;
    bool waits = false;
    for (uint32_t still = 0; still < 1000u;) { // longer than any gap
        bool woken = uart.latched && (board_interrupt(BOARD_PORT_IRQ_RX) & BOARD_EVENT_PORT_READABLE) != 0u;
        if (waits && !woken) {
            still = look() ? 0u : still + 1u;
            continue;
        }
        size_t room = length - read < capacity ? length - read : capacity;
        size_t count = board_port_read(out + read, room);
        read += count;
        waits = count == 0u;
        still = 0;
        if (read == length) {
            break;
        }
    }
    return read;
}
