// SPDX-License-Identifier: Apache-2.0
// The management port without interrupts, as boot uses it: UART0 and the first function of the USB device, which starts
// when boot first listens (in recovery alone). An answer goes to the line that asked.
#include "board_config.h"
#include "coffret/board.h"
#include "coffret/section.h"
#include "rp2040.h"
#include "usb.h"

#define PATIENCE_US 100000u // with a host that does not take what it asked for

MONITOR_BSS static struct {
    bool started;
    bool by_usb;            // who spoke last
} port;

static size_t uart_read(uint8_t *data, size_t capacity) {
    size_t length = 0;
    while (length < capacity && !uart_rx_empty(BOARD_PORT_BASE)) {
        data[length++] = uart_get(BOARD_PORT_BASE);
    }
    return length;
}

size_t board_port_read(uint8_t *data, size_t capacity) {
    if (!port.started) {
        port.started = true;
        usb_start();
    }
    usb_serve();
    size_t length = port.by_usb ? usb_serial_read(0u, data, capacity) : uart_read(data, capacity);
    if (length == 0u) {
        length = port.by_usb ? uart_read(data, capacity) : usb_serial_read(0u, data, capacity);
        port.by_usb = port.by_usb != (length != 0u);
    }
    return length;
}

// False: the host has gone.
static bool wait_for_usb(void) {
    uint64_t start = board_microseconds();
    while (!usb_serial_idle(0u)) {
        usb_serve();
        if (!usb_serial_is_open(0u) || board_microseconds() - start > PATIENCE_US) {
            return false;
        }
    }
    return usb_serial_is_open(0u);
}

static void usb_write(const uint8_t *data, size_t length) {
    while (length != 0u && wait_for_usb()) {
        size_t sent = usb_serial_write(0u, data, length);
        data += sent;
        length -= sent;
    }
    if (usb_serial_must_end(0u) && wait_for_usb()) {
        (void)usb_serial_write(0u, NULL, 0u); // a host ends its read at a packet that is not full
    }
}

size_t board_port_write(const uint8_t *data, size_t length) {
    if (port.by_usb) {
        usb_write(data, length);
        return length;
    }
    for (size_t i = 0; i < length; i++) {
        while (uart_tx_full(BOARD_PORT_BASE)) {
        }
        uart_put(BOARD_PORT_BASE, data[i]);
    }
    return length;
}

void board_port_flush(void) {
    if (port.by_usb) {
        (void)wait_for_usb();
        return;
    }
    uint64_t start = board_microseconds();
    while (uart_busy(BOARD_PORT_BASE) && board_microseconds() - start < PATIENCE_US) {
    }
}
