// SPDX-License-Identifier: Apache-2.0
// Private to the family: the USB device, two serial ports (CDC-ACM functions). Everything from the host is hostile: each
// request is taken from a short list or stalled, and nothing is read or written but our own buffers of 64 bytes.
#ifndef RP2_USB_H
#define RP2_USB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define USB_FUNCTIONS 2u        // 0: management, 1: the stream
#define USB_IRQ 5u              // data sheet, section 2.3.2

// ---- usb_device.c ----

void usb_start(void);
// Answers what the controller reports. Called often, or from its interrupt.
void usb_serve(void);

// ---- usb_serial.c: bytes of one function ----

// The host has configured the device and somebody has opened the port (DTR).
bool usb_serial_is_open(uint32_t function);
// Whether a packet of the host's waits.
bool usb_serial_readable(uint32_t function);
size_t usb_serial_read(uint32_t function, uint8_t *data, size_t capacity);
// Sends at most one packet; 0 while the last one has not gone. A length of 0 ends a transfer whose last packet was full.
size_t usb_serial_write(uint32_t function, const uint8_t *data, size_t length);
// Whether the last packet has gone, and whether an empty one must follow it.
bool usb_serial_idle(uint32_t function);
bool usb_serial_must_end(uint32_t function);

// ---- between the two files ----

void usb_serial_reset(void);                    // the bus was reset: nothing is configured
void usb_serial_configure(bool configured);
void usb_serial_buffers_done(uint32_t buffers); // bits of usb_buffers_done
// Back to the first packet (CLEAR_FEATURE). False: no such endpoint.
bool usb_serial_halt(uint32_t address, bool halted);
bool usb_serial_is_halted(uint32_t address, bool *halted);
void usb_serial_set_lines(uint32_t function, uint32_t lines); // SET_CONTROL_LINE_STATE
#define LINE_CODING_SIZE 7u
uint8_t *usb_serial_line_coding(uint32_t function);
// Which function an interface belongs to; USB_FUNCTIONS: none.
uint32_t usb_serial_of_interface(uint32_t interface);

// ---- usb_descriptors.c ----

// NULL: there is none. `length` bytes of it exist.
const uint8_t *usb_descriptor(uint32_t type, uint32_t index, size_t *length);

#endif
