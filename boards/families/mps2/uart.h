// SPDX-License-Identifier: Apache-2.0
// Private to the family: what its drivers share of the UART.
#ifndef MPS2_UART_H
#define MPS2_UART_H

#include <stdint.h>

#include "board_config.h"
#include "cmsdk.h"

// 8N1, both directions on, no interrupts.
static inline void uart_start(uint32_t base) {
    uart_divider(base, BOARD_CLOCK_HZ / BOARD_PORT_BAUD);
    uart_control(base, UART_TX_ENABLE | UART_RX_ENABLE);
}

#endif
