// SPDX-License-Identifier: Apache-2.0
// The CMSDK UART as an enclave drives it: 8N1, a buffer of one byte each way.
#include "cmsdk.h"
#include "board_config.h"
#include "machine/driver.h"

bool driver_uart_start(const struct driver_uart *uart) {
    uint32_t divider = BOARD_CLOCK_HZ / uart->baud;
    if (uart->bits != 8u || uart->stop != 1u || uart->parity != DRIVER_PARITY_NONE || divider < 16u || divider > 0xFFFFFu) {
        return false;
    }
    uart_divider(uart->base, divider);
    uart_control(uart->base, UART_TX_ENABLE | UART_RX_ENABLE | UART_RX_INTERRUPT);
    return true;
}

void driver_uart_stop(uint32_t base) { uart_control(base, 0u); }
int driver_uart_get(uint32_t base) { return uart_rx_full(base) ? uart_get(base) : -1; }

bool driver_uart_put(uint32_t base, uint8_t byte) {
    if (uart_tx_full(base)) {
        return false;
    }
    uart_put(base, byte);
    return true;
}

bool driver_uart_sent(uint32_t base) { return !uart_tx_full(base); }
void driver_uart_clear(uint32_t base) { uart_clear_rx_interrupt(base); }
