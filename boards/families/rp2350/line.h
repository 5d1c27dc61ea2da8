// SPDX-License-Identifier: Apache-2.0
// The PL011 as ../common/port_interrupts.c and port_polled.c use one. The Secure world has chosen its pins.
#ifndef RP2350_LINE_H
#define RP2350_LINE_H

#include "board_config.h"
#include "rp2350.h"

_Static_assert(BOARD_CLOCK_HZ <= 0xFFFFFFFFu / 4u - BOARD_PORT_BAUD, "uart_start multiplies by four");

static inline void line_start(uint32_t base) { uart_start(base, BOARD_CLOCK_HZ, BOARD_PORT_BAUD); }
static inline bool line_received(uint32_t base) { return !uart_rx_empty(base); }
static inline uint8_t line_get(uint32_t base) { return uart_get(base); }
static inline bool line_can_send(uint32_t base) { return !uart_tx_full(base); }
static inline void line_put(uint32_t base, uint8_t byte) { uart_put(base, byte); }
static inline bool line_sent_all(uint32_t base) { return !uart_busy(base); }
static inline void line_interrupts(uint32_t base, bool receive, bool transmit) {
    uart_interrupts(base, (receive ? UART_RECEIVE : 0u) | (transmit ? UART_TRANSMIT : 0u));
}
static inline void line_acknowledge(uint32_t base, bool received, bool sent) {
    uart_clear(base, (received ? UART_RECEIVE : 0u) | (sent ? UART_TRANSMIT : 0u));
}

#endif
