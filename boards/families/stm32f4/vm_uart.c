// SPDX-License-Identifier: Apache-2.0
// A USART (section 30) as an enclave drives it. CR1 0x0C: M, PCE, PS; CR2 0x10: STOP.
#include "board_config.h"
#include "machine/driver.h"
#include "stm32f4.h"

#define CR1_NINE_BITS (1u << 12) // eight and the parity
#define CR1_PARITY (1u << 10)
#define CR1_ODD (1u << 9)
#define CR2_TWO_STOP_BITS (2u << 12)

bool driver_uart_start(const struct driver_uart *uart) {
    uint32_t bus = bus_hz(uart->base, BOARD_CLOCK_HZ);
    if (uart->bits != 8u || uart->stop < 1u || uart->stop > 2u || uart->baud > bus / 16u || uart->baud < bus / 0xFFFFu + 1u) {
        return false;
    }
    driver_uart_stop(uart->base);
    register_write(uart->base + 0x10u, uart->stop == 2u ? CR2_TWO_STOP_BITS : 0u);
    usart_start(uart->base, BOARD_CLOCK_HZ, uart->baud);
    uint32_t parity = uart->parity == DRIVER_PARITY_NONE ? 0u : CR1_NINE_BITS | CR1_PARITY;
    parity |= uart->parity == DRIVER_PARITY_ODD ? CR1_ODD : 0u;
    usart_interrupts(uart->base, USART_CR1_RECEIVE_INTERRUPT | parity);
    return true;
}

void driver_uart_stop(uint32_t base) { register_write(base + 0x0Cu, 0u); }
int driver_uart_get(uint32_t base) { return usart_received(base) ? usart_get(base) : -1; }

bool driver_uart_put(uint32_t base, uint8_t byte) {
    if (!usart_can_send(base)) {
        return false;
    }
    usart_put(base, byte);
    return true;
}

bool driver_uart_sent(uint32_t base) { return usart_sent_all(base); }
void driver_uart_clear(uint32_t base) { (void)base; } // taking what was received does it
