// SPDX-License-Identifier: Apache-2.0
// The USART as ../common/port_interrupts.c and port_polled.c use one.
#ifndef STM32F4_LINE_H
#define STM32F4_LINE_H

#include "board_config.h"
#include "stm32f4.h"

// 8N1, both directions on, no interrupts.
static inline void line_start(uint32_t base) { usart_start(base, BOARD_CLOCK_HZ, BOARD_PORT_BAUD); }
static inline bool line_received(uint32_t base) { return usart_received(base); }
static inline uint8_t line_get(uint32_t base) { return usart_get(base); }
static inline bool line_can_send(uint32_t base) { return usart_can_send(base); }
static inline void line_put(uint32_t base, uint8_t byte) { usart_put(base, byte); }
static inline bool line_sent_all(uint32_t base) { return usart_sent_all(base); }
static inline void line_interrupts(uint32_t base, bool receive, bool transmit) {
    usart_interrupts(base, (receive ? USART_CR1_RECEIVE_INTERRUPT : 0u) | (transmit ? USART_CR1_TRANSMIT_INTERRUPT : 0u));
}
// Reading and writing the data register does it. An overrun clears by that too (section 30.6.1).
static inline void line_acknowledge(uint32_t base, bool received, bool sent) {
    (void)base;
    (void)received;
    (void)sent;
}

#endif
