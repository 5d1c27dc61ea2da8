// SPDX-License-Identifier: Apache-2.0
// The serial lines as ../common/port_interrupts.c and port_polled.c use one. Management is UART 0, which has no DMA: boot
// leaves nothing behind that still writes into memory. Streams are UARTE 1, which has nothing else; the image alone runs it.
#ifndef NRF52_LINE_H
#define NRF52_LINE_H

#include "board_config.h"
#include "nrf52.h"

struct line_state {
    volatile bool sending;    // something was sent since the start, so the event tells whether it is out
    volatile uint8_t in, out; // the DMA's
};
extern struct line_state line_states[2]; // management, stream 0

struct line_wiring {
    uint8_t sends, receives; // pins
    uint32_t rate;           // of 115,200 bauds, as the block counts
};

static inline bool line_is_dma(uint32_t base) { return base != BOARD_PORT_BASE; }
static inline struct line_state *line_state(uint32_t base) { return &line_states[line_is_dma(base) ? 1 : 0]; }
static inline uint32_t line_received_event(uint32_t base) { return base + (line_is_dma(base) ? UARTE_ENDRX : UART_RXDRDY); }
static inline uint32_t line_sent_event(uint32_t base) { return base + (line_is_dma(base) ? UARTE_ENDTX : UART_TXDRDY); }
static inline uint32_t line_interrupt_bit(uint32_t event) { return 1u << ((event & 0xFFu) / 4u); } // section 6.1.9

_Static_assert(BOARD_PORT_BAUD == 115200u, "rates of line_wiring");

static inline void line_start(uint32_t base) {
    // Of the micro:bit's schematic: to the interface chip; pins 0 and 1 of the edge.
    const struct line_wiring wiring =
        line_is_dma(base) ? (struct line_wiring){2u, 3u, 0x01D60000u} : (struct line_wiring){6u, 40u, 0x01D7E000u};
    register_write(base + UART_ENABLE, 0u);
    pin_write(wiring.sends, true);
    pin_configure(wiring.sends, PIN_OUTPUT_BIT | PIN_NO_INPUT);
    pin_configure(wiring.receives, PIN_UP);
    register_write(base + UART_PSEL_TXD, wiring.sends);
    register_write(base + UART_PSEL_RXD, wiring.receives);
    register_write(base + UART_BAUDRATE, wiring.rate);
    register_write(base + UART_INTENCLR, 0xFFFFFFFFu);
    event_clear(line_received_event(base));
    event_clear(line_sent_event(base));
    register_write(base + UART_ENABLE, line_is_dma(base) ? UART_ENABLE_UARTE : UART_ENABLE_UART);
    struct line_state *state = line_state(base);
    state->sending = false;
    if (line_is_dma(base)) {
        register_write(base + UARTE_RXD_PTR, (uint32_t)(uintptr_t)&state->in);
        register_write(base + UARTE_RXD_PTR + 4u, 1u);
        register_write(base + UARTE_TXD_PTR, (uint32_t)(uintptr_t)&state->out);
        register_write(base + UARTE_TXD_PTR + 4u, 1u);
    } else {
        task_start(base + UART_STARTTX);
    }
    task_start(base + UART_STARTRX);
}

static inline bool line_received(uint32_t base) { return event_happened(line_received_event(base)); }

// The event goes before the byte is taken: the next one raises it anew.
static inline uint8_t line_get(uint32_t base) {
    event_clear(line_received_event(base));
    if (!line_is_dma(base)) {
        return (uint8_t)register_read(base + UART_RXD);
    }
    uint8_t byte = line_state(base)->in;
    task_start(base + UART_STARTRX); // up to four bytes have waited in the block
    return byte;
}

static inline bool line_can_send(uint32_t base) {
    return !line_state(base)->sending || event_happened(line_sent_event(base));
}

static inline void line_put(uint32_t base, uint8_t byte) {
    event_clear(line_sent_event(base));
    line_state(base)->sending = true;
    if (line_is_dma(base)) {
        line_state(base)->out = byte;
        task_start(base + UART_STARTTX);
    } else {
        register_write(base + UART_TXD, byte);
    }
}

static inline bool line_sent_all(uint32_t base) { return line_can_send(base); }

static inline void line_interrupts(uint32_t base, bool receive, bool transmit) {
    uint32_t received = line_interrupt_bit(line_received_event(base)), sent = line_interrupt_bit(line_sent_event(base));
    register_write(base + UART_INTENCLR, (receive ? 0u : received) | (transmit ? 0u : sent));
    register_write(base + UART_INTENSET, (receive ? received : 0u) | (transmit ? sent : 0u));
}

// Getting and putting a byte does it.
static inline void line_acknowledge(uint32_t base, bool received, bool sent) {
    (void)base;
    (void)received;
    (void)sent;
}

#endif
