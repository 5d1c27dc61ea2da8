// SPDX-License-Identifier: Apache-2.0
// The management port without interrupts, as boot uses it: a UART, by its family's line.h.
#include "board_config.h"
#include "coffret/board.h"
#include "line.h"

size_t board_port_read(uint8_t *data, size_t capacity) {
    size_t length = 0;
    while (length < capacity && line_received(BOARD_PORT_BASE)) {
        data[length++] = line_get(BOARD_PORT_BASE);
    }
    return length;
}

size_t board_port_write(const uint8_t *data, size_t length) {
    for (size_t i = 0; i < length; i++) {
        while (!line_can_send(BOARD_PORT_BASE)) {
        }
        line_put(BOARD_PORT_BASE, data[i]);
    }
    return length;
}

// On some the buffer is empty one byte before the line is. At most two bytes wait, one in each.
#define TWO_BYTES_US (2u * 10u * 1000000u / BOARD_PORT_BAUD + 1u)

void board_port_flush(void) {
    uint32_t start = board_ticks();
    while (board_ticks() - start < BOARD_TICKS_PER_US * (line_sent_all(BOARD_PORT_BASE) ? TWO_BYTES_US : 100000u)) {
    }
}
