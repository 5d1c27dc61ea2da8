// SPDX-License-Identifier: Apache-2.0
// UART1 (PL011, section 4.2) as an enclave drives it. LCR_H 0x2C: word length, two stop bits, parity.
#include "board_config.h"
#include "machine/driver.h"
#include "rp2040.h"

#define LCR_FIFOS (1u << 4)
#define LCR_TWO_STOP_BITS (1u << 3)
#define LCR_PARITY (1u << 1)
#define LCR_EVEN (1u << 2)

bool driver_uart_start(const struct driver_uart *uart) {
    if (uart->bits < 5u || uart->bits > 8u || uart->stop < 1u || uart->stop > 2u || uart->baud > BOARD_CLOCK_HZ / 16u ||
        uart->baud < BOARD_CLOCK_HZ / 16u / 0xFFFFu + 1u) {
        return false;
    }
    uart_start(uart->base, BOARD_CLOCK_HZ, uart->baud);
    uint32_t control = (uart->bits - 5u) << 5 | LCR_FIFOS | (uart->stop == 2u ? LCR_TWO_STOP_BITS : 0u);
    if (uart->parity != DRIVER_PARITY_NONE) {
        control |= LCR_PARITY | (uart->parity == DRIVER_PARITY_EVEN ? LCR_EVEN : 0u);
    }
    register_write(uart->base + 0x2Cu, control);
    uart_interrupts(uart->base, UART_RECEIVE);
    return true;
}

void driver_uart_stop(uint32_t base) {
    uart_interrupts(base, 0u);
    register_write(base + 0x30u, 0u);
}

int driver_uart_get(uint32_t base) { return uart_rx_empty(base) ? -1 : uart_get(base); }

bool driver_uart_put(uint32_t base, uint8_t byte) {
    if (uart_tx_full(base)) {
        return false;
    }
    uart_put(base, byte);
    return true;
}

bool driver_uart_sent(uint32_t base) { return !uart_busy(base); }
void driver_uart_clear(uint32_t base) { uart_clear(base, UART_RECEIVE); }
