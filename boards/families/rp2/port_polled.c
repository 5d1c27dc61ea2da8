// SPDX-License-Identifier: Apache-2.0
// The management port without interrupts, as boot uses it.
#include "board_config.h"
#include "coffret/board.h"
#include "rp2040.h"

size_t board_port_read(uint8_t *data, size_t capacity) {
    size_t length = 0;
    while (length < capacity && !uart_rx_empty(BOARD_PORT_BASE)) {
        data[length++] = uart_get(BOARD_PORT_BASE);
    }
    return length;
}

size_t board_port_write(const uint8_t *data, size_t length) {
    for (size_t i = 0; i < length; i++) {
        while (uart_tx_full(BOARD_PORT_BASE)) {
        }
        uart_put(BOARD_PORT_BASE, data[i]);
    }
    return length;
}

void board_port_flush(void) {
    uint64_t start = board_microseconds();
    while (uart_busy(BOARD_PORT_BASE) && board_microseconds() - start < 100000u) {
    }
}
