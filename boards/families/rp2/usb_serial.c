// SPDX-License-Identifier: Apache-2.0
// The data endpoints of the serial functions. A packet stays in the controller's RAM until it is read: a host that sends
// more than is read is told to wait, by the controller.
#include "usb.h"

#include <string.h>

#include "coffret/section.h"
#include "usb_controller.h"

static const struct function {
    uint8_t interface;          // the first of two
    uint8_t notify, data;       // endpoints
} functions[USB_FUNCTIONS] = {{0, 1, 2}, {2, 3, 4}};

// Buffers, in steps of 64 bytes: IN, OUT, notifications of each function.
static uint32_t buffer_of(uint32_t function, uint32_t which) { return USB_BUFFERS + USB_PACKET * (3u * function + which); }
#define BUFFER_IN 0u
#define BUFFER_OUT 1u
#define BUFFER_NOTIFY 2u

MONITOR_BSS static struct {
    bool configured;
    struct port {
        bool opened;                // DTR
        bool sending;               // the controller has the IN buffer
        bool last_was_full;
        bool next_in, next_out;     // DATA1 comes next
        bool halted_in, halted_out;
        uint8_t received, read;     // bytes of the packet in the OUT buffer, and how many were taken
        uint8_t coding[LINE_CODING_SIZE];
    } ports[USB_FUNCTIONS];
} serial;

static uint32_t data_bit(bool data1) { return data1 ? BUFFER_DATA1 : 0u; }

// Lets the host send the next packet.
static void arm(uint32_t function) {
    struct port *port = &serial.ports[function];
    port->received = 0;
    port->read = 0;
    if (serial.configured && !port->halted_out) {
        usb_buffer_start(functions[function].data, USB_OUT, data_bit(port->next_out) | USB_PACKET);
        port->next_out = !port->next_out;
    }
}

void usb_serial_reset(void) {
    memset(&serial, 0, sizeof serial);
    for (uint32_t function = 0; function < USB_FUNCTIONS; function++) {
        static const uint8_t coding[LINE_CODING_SIZE] = {0x00, 0xC2, 0x01, 0x00, 0, 0, 8}; // 115200 8N1; nobody heeds it
        memcpy(serial.ports[function].coding, coding, sizeof coding);
    }
}

void usb_serial_configure(bool configured) {
    usb_serial_reset();
    serial.configured = configured;
    for (uint32_t function = 0; function < USB_FUNCTIONS; function++) {
        uint32_t data = functions[function].data;
        usb_buffer_set(data, USB_IN, 0u);
        usb_buffer_set(data, USB_OUT, 0u);
        if (configured) {
            usb_endpoint_enable(functions[function].notify, USB_IN, USB_INTERRUPT, buffer_of(function, BUFFER_NOTIFY));
            usb_endpoint_enable(data, USB_IN, USB_BULK, buffer_of(function, BUFFER_IN));
            usb_endpoint_enable(data, USB_OUT, USB_BULK, buffer_of(function, BUFFER_OUT));
            arm(function);
        }
    }
}

void usb_serial_buffers_done(uint32_t buffers) {
    for (uint32_t function = 0; function < USB_FUNCTIONS && serial.configured; function++) {
        struct port *port = &serial.ports[function];
        uint32_t data = functions[function].data;
        if ((buffers >> (2u * data + USB_IN) & 1u) != 0u) {
            port->sending = false;
        }
        if ((buffers >> (2u * data + USB_OUT) & 1u) != 0u) {
            uint32_t length = usb_buffer_state(data, USB_OUT) & BUFFER_LENGTH;
            port->received = (uint8_t)(length < USB_PACKET ? length : USB_PACKET);
            port->read = 0;
            if (port->received == 0) {
                arm(function);
            }
        }
    }
}

bool usb_serial_is_open(uint32_t function) { return serial.configured && serial.ports[function].opened; }

bool usb_serial_readable(uint32_t function) { return serial.ports[function].read < serial.ports[function].received; }

size_t usb_serial_read(uint32_t function, uint8_t *data, size_t capacity) {
    struct port *port = &serial.ports[function];
    size_t length = 0;
    while (length < capacity && port->read < port->received) {
        data[length++] = *usb_ram(buffer_of(function, BUFFER_OUT) + port->read++);
    }
    if (port->received != 0 && port->read == port->received) {
        arm(function);
    }
    return length;
}

size_t usb_serial_write(uint32_t function, const uint8_t *data, size_t length) {
    struct port *port = &serial.ports[function];
    if (!serial.configured || port->sending || port->halted_in) {
        return 0;
    }
    length = length < USB_PACKET ? length : USB_PACKET;
    for (size_t i = 0; i < length; i++) {
        *usb_ram(buffer_of(function, BUFFER_IN) + i) = data[i];
    }
    port->sending = true;
    port->last_was_full = length == USB_PACKET;
    usb_buffer_start(functions[function].data, USB_IN, BUFFER_FULL | data_bit(port->next_in) | (uint32_t)length);
    port->next_in = !port->next_in;
    return length;
}

bool usb_serial_idle(uint32_t function) { return !serial.ports[function].sending; }
bool usb_serial_must_end(uint32_t function) { return serial.ports[function].last_was_full; }

// ---- what control requests change ----

bool usb_serial_is_halted(uint32_t address, bool *halted) {
    for (uint32_t function = 0; function < USB_FUNCTIONS; function++) {
        const struct port *port = &serial.ports[function];
        if ((address & 0x7Fu) == functions[function].data) {
            *halted = (address & 0x80u) != 0u ? port->halted_in : port->halted_out;
            return serial.configured;
        }
        if (address == (0x80u | functions[function].notify)) {
            *halted = false;
            return serial.configured;
        }
    }
    return false;
}

bool usb_serial_halt(uint32_t address, bool halted) {
    bool before;
    if (!usb_serial_is_halted(address, &before)) {
        return false;
    }
    for (uint32_t function = 0; function < USB_FUNCTIONS; function++) {
        struct port *port = &serial.ports[function];
        uint32_t data = functions[function].data;
        if ((address & 0x7Fu) != data) {
            continue;
        }
        if ((address & 0x80u) != 0u) {
            port->halted_in = halted;
            port->next_in = false;
            port->sending = false;
            usb_buffer_set(data, USB_IN, halted ? BUFFER_STALL : 0u);
        } else {
            port->halted_out = halted;
            port->next_out = false;
            usb_buffer_set(data, USB_OUT, halted ? BUFFER_STALL : 0u);
            arm(function);
        }
    }
    return true;
}

void usb_serial_set_lines(uint32_t function, uint32_t lines) { serial.ports[function].opened = (lines & 1u) != 0u; }

uint8_t *usb_serial_line_coding(uint32_t function) { return serial.ports[function].coding; }

uint32_t usb_serial_of_interface(uint32_t interface) {
    for (uint32_t function = 0; function < USB_FUNCTIONS; function++) {
        if (functions[function].interface == interface) {
            return function;
        }
    }
    return USB_FUNCTIONS;
}
