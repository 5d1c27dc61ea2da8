// SPDX-License-Identifier: Apache-2.0
// The UARTs with interrupts and rings, as the monitor uses them: the management port and the streams.
// The monitor calls everything here from one priority or with interrupts masked, so the rings need no locks.
#include <string.h>

#include "board_config.h"
#include "cmsdk.h"
#include "coffret/board.h"
#include "coffret/section.h"
#include "registers.h"
#include "uart.h"

#define RECEIVE_SIZE 512u
#define TRANSMIT_SIZE (BOARD_STREAM_CAPACITY + 1u)
_Static_assert((RECEIVE_SIZE & (RECEIVE_SIZE - 1u)) == 0u, "indices wrap by a mask");
_Static_assert((TRANSMIT_SIZE & (TRANSMIT_SIZE - 1u)) == 0u, "indices wrap by a mask");

struct uart_line {
    uint32_t base;
    uint32_t irq_rx;
    uint32_t irq_tx;
};

// Line 0 is the management port, line 1 + n is stream n.
static const struct uart_line lines[1u + BOARD_STREAMS] = {
    {BOARD_PORT_BASE, BOARD_PORT_IRQ_RX, BOARD_PORT_IRQ_TX},
    BOARD_STREAM_TABLE,
};

// The indices run freely; what differs between them is in the ring.
struct rings {
    uint32_t received, read;
    uint32_t written, sent;
    uint8_t receive[RECEIVE_SIZE];
    uint8_t transmit[TRANSMIT_SIZE];
};

MONITOR_BSS static struct rings all_rings[1u + BOARD_STREAMS];

#define RUNNING (UART_TX_ENABLE | UART_RX_ENABLE | UART_TX_INTERRUPT | UART_RX_INTERRUPT)

static void start(uint32_t line) {
    memset(&all_rings[line], 0, sizeof all_rings[line]);
    uart_start(lines[line].base);
    uart_control(lines[line].base, RUNNING);
    nvic_enable(lines[line].irq_rx);
    nvic_enable(lines[line].irq_tx);
}

// Takes what the hardware holds. With the ring full the byte stays where it is and the interrupt is switched off,
// else it would come for ever; take() switches it on again. A sender that heeds no flow control loses bytes.
// True when a reader should look: a line is complete, or the ring is half full.
static bool receive(uint32_t line) {
    struct rings *rings = &all_rings[line];
    bool line_end = false;
    while (uart_rx_full(lines[line].base)) {
        if (rings->received - rings->read == RECEIVE_SIZE) {
            uart_control(lines[line].base, RUNNING & ~UART_RX_INTERRUPT);
            return true;
        }
        uint8_t byte = uart_get(lines[line].base);
        rings->receive[rings->received++ % RECEIVE_SIZE] = byte;
        line_end |= byte == '\n';
    }
    return line_end || rings->received - rings->read >= RECEIVE_SIZE / 2u;
}

// The hardware interrupts when its one-byte buffer has become empty, so somebody must put the first byte there.
static void transmit(uint32_t line) {
    struct rings *rings = &all_rings[line];
    while (rings->sent != rings->written && !uart_tx_full(lines[line].base)) {
        uart_put(lines[line].base, rings->transmit[rings->sent++ % TRANSMIT_SIZE]);
    }
}

static size_t take(uint32_t line, uint8_t *data, size_t capacity) {
    struct rings *rings = &all_rings[line];
    size_t length = 0;
    while (length < capacity && rings->read != rings->received) {
        data[length++] = rings->receive[rings->read++ % RECEIVE_SIZE];
    }
    // First the interrupt, then a look: a byte that waits from before raises none.
    uart_control(lines[line].base, RUNNING);
    (void)receive(line);
    return length;
}

static size_t space(uint32_t line) {
    return BOARD_STREAM_CAPACITY - (all_rings[line].written - all_rings[line].sent);
}

static size_t give(uint32_t line, const uint8_t *data, size_t length) {
    struct rings *rings = &all_rings[line];
    size_t room = space(line);
    if (length > room) {
        length = room;
    }
    for (size_t i = 0; i < length; i++) {
        rings->transmit[rings->written++ % TRANSMIT_SIZE] = data[i];
    }
    transmit(line);
    return length;
}

void board_port_use_interrupts(void) { start(0u); }
size_t board_port_read(uint8_t *data, size_t capacity) { return take(0u, data, capacity); }
size_t board_port_write(const uint8_t *data, size_t length) { return give(0u, data, length); }

void board_port_flush(void) {
    uint64_t begin = board_microseconds();
    while (board_microseconds() - begin < 100000u) {
        if (all_rings[0].sent == all_rings[0].written && !uart_tx_full(BOARD_PORT_BASE)) {
            return;
        }
        transmit(0u); // the caller may have masked the interrupt that would do it
    }
}

void board_stream_start(uint32_t stream) {
    if (stream < BOARD_STREAMS) {
        start(1u + stream);
    }
}

bool board_stream_write(uint32_t stream, const uint8_t *data, size_t length) {
    if (stream >= BOARD_STREAMS || length > space(1u + stream)) {
        return false;
    }
    return give(1u + stream, data, length) == length;
}

size_t board_stream_space(uint32_t stream) { return stream < BOARD_STREAMS ? space(1u + stream) : 0u; }

size_t board_stream_read(uint32_t stream, uint8_t *data, size_t capacity) {
    return stream < BOARD_STREAMS ? take(1u + stream, data, capacity) : 0u;
}

uint32_t board_interrupt(uint32_t irq) {
    for (uint32_t line = 0; line < 1u + BOARD_STREAMS; line++) {
        if (irq == lines[line].irq_rx) {
            uart_clear_rx_interrupt(lines[line].base);
            if (!receive(line) && line == 0u) {
                return 0; // SMP comes in lines: waking the reader for each byte doubles what a byte costs
            }
            return line == 0u ? BOARD_EVENT_PORT_READABLE : BOARD_EVENT_STREAM_READABLE;
        }
        if (irq == lines[line].irq_tx) {
            uart_clear_tx_interrupt(lines[line].base);
            transmit(line);
            return line == 0u ? BOARD_EVENT_PORT_WRITABLE : BOARD_EVENT_STREAM_WRITABLE;
        }
    }
    nvic_disable(irq);
    return 0;
}
