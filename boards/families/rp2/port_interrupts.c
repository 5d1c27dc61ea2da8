// SPDX-License-Identifier: Apache-2.0
// The management port and the stream with interrupts, as the monitor uses them. The port has two lines, UART0 and the first
// function of the USB device; an answer goes to the line that asked. The stream is the second function.
// The monitor calls everything here from one priority or with interrupts masked, so the rings need no locks.
#include <string.h>

#include "board_config.h"
#include "coffret/board.h"
#include "coffret/section.h"
#include "image_config.h"
#include "registers.h"
#include "rp2040.h"
#include "usb.h"

#define RECEIVE_SIZE 512u
// What is sent by the stream is sent whole; a writer to the port waits for room.
#define TRANSMIT_SIZE (COFFRET_HAS_SINKS ? BOARD_STREAM_CAPACITY + 1u : 512u)
#define CAPACITY (TRANSMIT_SIZE - 1u)
#define STREAMS (COFFRET_HAS_SINKS ? BOARD_STREAMS : 0u)
_Static_assert((RECEIVE_SIZE & (RECEIVE_SIZE - 1u)) == 0u, "indices wrap by a mask");
_Static_assert((TRANSMIT_SIZE & (TRANSMIT_SIZE - 1u)) == 0u, "indices wrap by a mask");
_Static_assert(BOARD_STREAMS == 1u, "the USB device has one function for a stream");

enum line { LINE_UART, LINE_USB_PORT, LINE_USB_STREAM, LINES };

static uint32_t function_of(enum line line) { return line == LINE_USB_PORT ? 0u : 1u; }

// The indices run freely; what differs between them is in the ring.
struct transmit_ring {
    uint32_t written, sent;
    uint8_t bytes[TRANSMIT_SIZE];
};

MONITOR_BSS static struct {
    struct transmit_ring transmit[COFFRET_HAS_SINKS ? LINES : LINE_USB_STREAM];
    uint32_t received, read;            // of UART0. What came by USB stays in the controller
    uint8_t receive[RECEIVE_SIZE];
    enum line asked;                    // who spoke last on the management port
} lines;

// ---- UART0 ----

static bool uart_receive_is_full(void) { return lines.received - lines.read == RECEIVE_SIZE; }

// With the ring full the bytes stay where they are and the interrupt is switched off, else it would come for ever.
static void uart_choose_interrupts(void) {
    const struct transmit_ring *ring = &lines.transmit[LINE_UART];
    uart_interrupts(BOARD_PORT_BASE, (uart_receive_is_full() ? 0u : UART_RECEIVE) |
                                         (ring->written != ring->sent ? UART_TRANSMIT : 0u));
}

// True when a reader should look: a line is complete, or the ring is half full.
static bool uart_receive(void) {
    bool line_end = false;
    while (!uart_receive_is_full() && !uart_rx_empty(BOARD_PORT_BASE)) {
        uint8_t byte = uart_get(BOARD_PORT_BASE);
        lines.receive[lines.received++ % RECEIVE_SIZE] = byte;
        line_end |= byte == '\n';
    }
    return line_end || lines.received - lines.read >= RECEIVE_SIZE / 2u;
}

static void uart_transmit(struct transmit_ring *ring) {
    while (ring->sent != ring->written && !uart_tx_full(BOARD_PORT_BASE)) {
        uart_put(BOARD_PORT_BASE, ring->bytes[ring->sent++ % TRANSMIT_SIZE]);
    }
    uart_choose_interrupts();
}

// ---- all lines ----

static void usb_transmit(enum line line, struct transmit_ring *ring) {
    uint32_t function = function_of(line);
    if (!usb_serial_is_open(function)) {
        ring->sent = ring->written; // nobody listens: as on a wire without a plug
        return;
    }
    uint32_t at = ring->sent % TRANSMIT_SIZE;
    uint32_t length = ring->written - ring->sent;
    length = length < TRANSMIT_SIZE - at ? length : TRANSMIT_SIZE - at;
    if (length != 0u) {
        ring->sent += usb_serial_write(function, &ring->bytes[at], length);
    } else if (usb_serial_must_end(function)) {
        (void)usb_serial_write(function, NULL, 0u);
    }
}

static void transmit(enum line line) {
    if (line == LINE_UART) {
        uart_transmit(&lines.transmit[line]);
    } else {
        usb_transmit(line, &lines.transmit[line]);
    }
}

static size_t space(enum line line) {
    return CAPACITY - (lines.transmit[line].written - lines.transmit[line].sent);
}

static size_t give(enum line line, const uint8_t *data, size_t length) {
    struct transmit_ring *ring = &lines.transmit[line];
    transmit(line); // makes room if nobody listens
    size_t room = space(line);
    if (length > room) {
        length = room;
    }
    for (size_t i = 0; i < length; i++) {
        ring->bytes[ring->written++ % TRANSMIT_SIZE] = data[i];
    }
    transmit(line);
    return length;
}

static size_t take(enum line line, uint8_t *data, size_t capacity) {
    if (line != LINE_UART) {
        return usb_serial_read(function_of(line), data, capacity);
    }
    // What comes into the ring here is announced to nobody: a reader that is told "nothing" must find neither holding a byte.
    size_t length = 0;
    do {
        while (length < capacity && lines.read != lines.received) {
            data[length++] = lines.receive[lines.read++ % RECEIVE_SIZE];
        }
        (void)uart_receive(); // what waited for room
    } while (length < capacity && lines.read != lines.received);
    uart_choose_interrupts();
    return length;
}

// ---- what the monitor calls ----

void board_port_use_interrupts(void) {
    memset(&lines, 0, sizeof lines);
    uart_choose_interrupts();
    nvic_enable(BOARD_PORT_IRQ_RX);
    usb_start();
    nvic_enable(USB_IRQ);
}

size_t board_port_read(uint8_t *data, size_t capacity) {
    size_t length = take(lines.asked, data, capacity);
    if (length == 0u) {
        enum line other = lines.asked == LINE_UART ? LINE_USB_PORT : LINE_UART;
        length = take(other, data, capacity);
        lines.asked = length != 0u ? other : lines.asked;
    }
    return length;
}

size_t board_port_write(const uint8_t *data, size_t length) { return give(lines.asked, data, length); }

static bool port_is_quiet(void) {
    const struct transmit_ring *ring = &lines.transmit[lines.asked];
    bool idle = lines.asked == LINE_UART ? !uart_busy(BOARD_PORT_BASE) : usb_serial_idle(0u);
    return ring->sent == ring->written && idle;
}

void board_port_flush(void) {
    uint64_t begin = board_microseconds();
    while (!port_is_quiet() && board_microseconds() - begin < 100000u) {
        usb_serve(); // the caller may have masked the interrupts that would do it
        transmit(lines.asked);
    }
}

void board_stream_start(uint32_t stream) { (void)stream; } // the USB device has started with the port

bool board_stream_write(uint32_t stream, const uint8_t *data, size_t length) {
    if (stream >= STREAMS || length > board_stream_space(stream)) {
        return false;
    }
    return give(LINE_USB_STREAM, data, length) == length;
}

size_t board_stream_space(uint32_t stream) {
    if (stream >= STREAMS) {
        return 0u;
    }
    return usb_serial_is_open(1u) ? space(LINE_USB_STREAM) : BOARD_STREAM_CAPACITY;
}

size_t board_stream_read(uint32_t stream, uint8_t *data, size_t capacity) {
    return stream < STREAMS ? take(LINE_USB_STREAM, data, capacity) : 0u;
}

static uint32_t serve_usb(void) {
    usb_serve();
    transmit(LINE_USB_PORT);
    if (COFFRET_HAS_SINKS) {
        transmit(LINE_USB_STREAM);
    }
    uint32_t events = BOARD_EVENT_PORT_WRITABLE | BOARD_EVENT_STREAM_WRITABLE;
    events |= usb_serial_readable(0u) ? BOARD_EVENT_PORT_READABLE : 0u;
    return events | (usb_serial_readable(1u) ? BOARD_EVENT_STREAM_READABLE : 0u);
}

uint32_t board_interrupt(uint32_t irq) {
    if (irq == USB_IRQ) {
        return serve_usb();
    }
    if (irq == BOARD_PORT_IRQ_RX) {
        uart_clear(BOARD_PORT_BASE, UART_RECEIVE | UART_TRANSMIT); // before: what comes from now on interrupts again
        bool readable = uart_receive();
        transmit(LINE_UART);
        // SMP comes in lines: waking the reader for each byte doubles what a byte costs.
        return BOARD_EVENT_PORT_WRITABLE | (readable ? BOARD_EVENT_PORT_READABLE : 0u);
    }
    nvic_disable(irq);
    return 0;
}
