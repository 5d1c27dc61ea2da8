// SPDX-License-Identifier: Apache-2.0
// UARTs with interrupts and rings, as the monitor uses them: the management port and the streams. A family's line.h says how
// its UART does it; a family whose port is more than a UART has a file of this name of its own.
// The monitor calls everything here from one priority or with interrupts masked, so the rings need no locks.
#include <string.h>

#include "board_config.h"
#include "coffret/board.h"
#include "coffret/section.h"
#include "image_config.h"
#include "line.h"
#include "registers.h"

#define RECEIVE_SIZE 512u
// What is sent by a stream is sent whole; a writer to the port waits for room.
#define TRANSMIT_SIZE (COFFRET_HAS_SINKS ? BOARD_STREAM_CAPACITY + 1u : 512u)
#define CAPACITY (TRANSMIT_SIZE - 1u)
#define STREAMS (COFFRET_HAS_SINKS ? BOARD_STREAMS : 0u)
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

MONITOR_BSS static struct rings all_rings[1u + STREAMS];

static bool is_full(const struct rings *rings) { return rings->received - rings->read == RECEIVE_SIZE; }

// With the ring full a byte stays where it is and its interrupt is switched off, else it would come for ever. A sender that
// heeds no flow control loses bytes.
static void choose_interrupts(uint32_t line) {
    const struct rings *rings = &all_rings[line];
    line_interrupts(lines[line].base, !is_full(rings), rings->sent != rings->written);
}

static void start(uint32_t line) {
    memset(&all_rings[line], 0, sizeof all_rings[line]);
    line_start(lines[line].base);
    choose_interrupts(line);
    nvic_enable(lines[line].irq_rx);
    nvic_enable(lines[line].irq_tx);
}

// Takes what the hardware holds. True when a reader should look: a line is complete, or the ring is half full.
// A UART may interrupt when a byte comes, not while it waits: one that came while the interrupt was off is looked for after it
// is on again, or nobody would.
static bool receive(uint32_t line) {
    struct rings *rings = &all_rings[line];
    bool line_end = false;
    do {
        while (!is_full(rings) && line_received(lines[line].base)) {
            uint8_t byte = line_get(lines[line].base);
            rings->receive[rings->received++ % RECEIVE_SIZE] = byte;
            line_end |= byte == '\n';
        }
        choose_interrupts(line);
    } while (!is_full(rings) && line_received(lines[line].base));
    return line_end || rings->received - rings->read >= RECEIVE_SIZE / 2u;
}

// The hardware interrupts when it can take a byte again, so somebody must put the first one there. True: some were sent.
static bool transmit(uint32_t line) {
    struct rings *rings = &all_rings[line];
    uint32_t before = rings->sent;
    while (rings->sent != rings->written && line_can_send(lines[line].base)) {
        line_put(lines[line].base, rings->transmit[rings->sent++ % TRANSMIT_SIZE]);
    }
    choose_interrupts(line);
    return rings->sent != before;
}

// Looks into the hardware each time the ring is empty: what waited for room raises no interrupt, and what comes from there into
// the ring here is announced to nobody, so a reader that is told "nothing" must find neither holding a byte.
static size_t take(uint32_t line, uint8_t *data, size_t capacity) {
    struct rings *rings = &all_rings[line];
    size_t length = 0;
    do {
        while (length < capacity && rings->read != rings->received) {
            data[length++] = rings->receive[rings->read++ % RECEIVE_SIZE];
        }
        (void)receive(line);
    } while (length < capacity && rings->read != rings->received);
    return length;
}

static size_t space(uint32_t line) {
    return CAPACITY - (all_rings[line].written - all_rings[line].sent);
}

// Takes as much as there is room for. What does not fit leaves bytes in the ring, and their interrupt tells the writer.
static size_t give(uint32_t line, const uint8_t *data, size_t length) {
    struct rings *rings = &all_rings[line];
    size_t given = 0;
    while (given < length && space(line) != 0u) {
        for (size_t room = space(line); given < length && room != 0u; room--) {
            rings->transmit[rings->written++ % TRANSMIT_SIZE] = data[given++];
        }
        (void)transmit(line);
    }
    return given;
}

void board_port_use_interrupts(void) { start(0u); }
size_t board_port_read(uint8_t *data, size_t capacity) { return take(0u, data, capacity); }
size_t board_port_write(const uint8_t *data, size_t length) { return give(0u, data, length); }

void board_port_flush(void) {
    uint64_t begin = board_microseconds();
    while (board_microseconds() - begin < 100000u) {
        if (all_rings[0].sent == all_rings[0].written && line_sent_all(BOARD_PORT_BASE)) {
            return;
        }
        (void)transmit(0u); // the caller may have masked the interrupt that would do it
    }
}

void board_stream_start(uint32_t stream) {
    if (stream < STREAMS) {
        start(1u + stream);
    }
}

bool board_stream_write(uint32_t stream, const uint8_t *data, size_t length) {
    if (stream >= STREAMS || length > space(1u + stream)) {
        return false;
    }
    return give(1u + stream, data, length) == length;
}

size_t board_stream_space(uint32_t stream) { return stream < STREAMS ? space(1u + stream) : 0u; }

size_t board_stream_read(uint32_t stream, uint8_t *data, size_t capacity) {
    return stream < STREAMS ? take(1u + stream, data, capacity) : 0u;
}

uint32_t board_interrupt(uint32_t irq) {
    for (uint32_t line = 0; line < 1u + STREAMS; line++) {
        bool received = irq == lines[line].irq_rx, can_send = irq == lines[line].irq_tx; // perhaps one interrupt for both
        if (!received && !can_send) {
            continue;
        }
        uint32_t events = 0;
        line_acknowledge(lines[line].base, received, can_send);
        if (can_send && transmit(line)) {
            events |= line == 0u ? BOARD_EVENT_PORT_WRITABLE : BOARD_EVENT_STREAM_WRITABLE;
        }
        // SMP comes in lines: waking the reader for each byte doubles what a byte costs.
        if (received && (receive(line) || line != 0u)) {
            events |= line == 0u ? BOARD_EVENT_PORT_READABLE : BOARD_EVENT_STREAM_READABLE;
        }
        return events;
    }
    nvic_disable(irq);
    return 0;
}
