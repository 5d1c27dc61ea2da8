// SPDX-License-Identifier: Apache-2.0
// The CMSDK UART as ../common/port_interrupts.c and port_polled.c use one.
#ifndef MPS2_LINE_H
#define MPS2_LINE_H

#include <stdbool.h>
#include <stdint.h>

#include "board_config.h"
#include "cmsdk.h"

// 8N1, both directions on, no interrupts.
static inline void line_start(uint32_t base) {
    uart_divider(base, BOARD_CLOCK_HZ / BOARD_PORT_BAUD);
    uart_control(base, UART_TX_ENABLE | UART_RX_ENABLE);
}
static inline bool line_received(uint32_t base) { return uart_rx_full(base); }
static inline uint8_t line_get(uint32_t base) { return uart_get(base); }
static inline bool line_can_send(uint32_t base) { return !uart_tx_full(base); }
static inline void line_put(uint32_t base, uint8_t byte) { uart_put(base, byte); }
static inline bool line_sent_all(uint32_t base) { return !uart_tx_full(base); }
// It interrupts when its buffer becomes empty, not while it is: switched on too late that moment is lost, so it stays on.
static inline void line_interrupts(uint32_t base, bool receive, bool transmit) {
    (void)transmit;
    uart_control(base, UART_TX_ENABLE | UART_RX_ENABLE | UART_TX_INTERRUPT | (receive ? UART_RX_INTERRUPT : 0u));
}
static inline void line_acknowledge(uint32_t base, bool received, bool sent) {
    if (received) {
        uart_clear_rx_interrupt(base);
    }
    if (sent) {
        uart_clear_tx_interrupt(base);
    }
}

#endif
