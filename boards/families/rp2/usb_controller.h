// SPDX-License-Identifier: Apache-2.0
// Registers and RAM of the RP2040's USB controller as a device (data sheet, section 4.1) behind named functions.
#ifndef RP2_USB_CONTROLLER_H
#define RP2_USB_CONTROLLER_H

#include "rp2040.h"

// ---- the controller's RAM, section 4.1.2.5: setup packet, endpoint control, buffer control, buffers ----

#define USB_RAM 0x50100000u
#define USB_RAM_SIZE 0x1000u
#define USB_PACKET 64u              // the largest packet of every endpoint here
#define USB_BUFFER_0 0x100u         // endpoint 0, both directions
#define USB_BUFFERS 0x180u          // the others', where we like, in steps of 64

#define USB_BULK 2u
#define USB_INTERRUPT 3u

// Buffer control, section 4.1.2.7.
#define BUFFER_FULL (1u << 15)
#define BUFFER_DATA1 (1u << 13)
#define BUFFER_STALL (1u << 11)
#define BUFFER_AVAILABLE (1u << 10)
#define BUFFER_LENGTH 0x3FFu

enum usb_direction { USB_IN = 0, USB_OUT = 1 }; // as the host sees it: IN is what we send

static inline volatile uint8_t *usb_ram(uint32_t offset) { return (volatile uint8_t *)(USB_RAM + offset); }
static inline uint8_t usb_setup_byte(uint32_t index) { return *usb_ram(index); }

static inline void usb_ram_clear(void) {
    for (uint32_t at = 0; at < USB_RAM_SIZE; at += 4u) {
        register_write(USB_RAM + at, 0u);
    }
}
// Endpoints 1 to 15.
static inline void usb_endpoint_enable(uint32_t endpoint, enum usb_direction direction, uint32_t type, uint32_t buffer) {
    register_write(USB_RAM + 8u * endpoint + 4u * direction, 1u << 31 | 1u << 29 | type << 26 | buffer);
}
static inline uint32_t usb_buffer_state(uint32_t endpoint, enum usb_direction direction) {
    return register_read(USB_RAM + 0x80u + 8u * endpoint + 4u * direction);
}
static inline void usb_buffer_set(uint32_t endpoint, enum usb_direction direction, uint32_t state) {
    register_write(USB_RAM + 0x80u + 8u * endpoint + 4u * direction, state);
}
// Hands the buffer to the controller. It runs at 48 MHz and may see the word half changed, so the bit that lets it look
// comes last, and late (section 4.1.2.5.1).
static inline void usb_buffer_start(uint32_t endpoint, enum usb_direction direction, uint32_t state) {
    usb_buffer_set(endpoint, direction, state);
    __asm__ volatile("b 1f\n1: b 1f\n1: b 1f\n1: b 1f\n1: b 1f\n1: b 1f\n1:" ::: "memory");
    usb_buffer_set(endpoint, direction, state | BUFFER_AVAILABLE);
}

// ---- registers, section 4.1.4 ----

#define USB_REGISTERS 0x50110000u
#define USB_ADDRESS (USB_REGISTERS + 0x00u)
#define USB_MAIN_CONTROL (USB_REGISTERS + 0x40u)
#define USB_SIE_CONTROL (USB_REGISTERS + 0x4Cu)
#define USB_SIE_STATUS (USB_REGISTERS + 0x50u)
#define USB_BUFFER_STATUS (USB_REGISTERS + 0x58u)
#define USB_STALL_ARM (USB_REGISTERS + 0x68u)
#define USB_MUXING (USB_REGISTERS + 0x74u)
#define USB_POWER (USB_REGISTERS + 0x78u)
#define USB_INTERRUPT_ENABLE (USB_REGISTERS + 0x90u)
#define USB_INTERRUPT_STATUS (USB_REGISTERS + 0x98u)

#define INTERRUPT_BUFFER (1u << 4)
#define INTERRUPT_BUS_RESET (1u << 12)
#define INTERRUPT_SETUP (1u << 16)
#define STATUS_SETUP (1u << 17)
#define STATUS_BUS_RESET (1u << 19)

// As a device, on the internal PHY, powered or not; visible to the host once pulled up.
static inline void usb_controller_start(void) {
    register_write(USB_MUXING, 1u << 3 | 1u << 0);      // SOFTCON, TO_PHY
    register_write(USB_POWER, 1u << 3 | 1u << 2);       // VBUS is taken to be there
    register_write(USB_MAIN_CONTROL, 1u);
    register_write(USB_SIE_CONTROL, 1u << 29);          // EP0_INT_1BUF: endpoint 0 reports each buffer
    register_write(USB_INTERRUPT_ENABLE, INTERRUPT_BUFFER | INTERRUPT_BUS_RESET | INTERRUPT_SETUP);
    register_set(USB_SIE_CONTROL, 1u << 16);            // PULLUP_EN
}
static inline uint32_t usb_interrupts(void) { return register_read(USB_INTERRUPT_STATUS); }
static inline void usb_clear_status(uint32_t bits) { register_write(USB_SIE_STATUS, bits); }
static inline void usb_set_address(uint32_t address) { register_write(USB_ADDRESS, address); }
// Buffers the controller is done with: bit 2n endpoint n IN, bit 2n + 1 OUT.
static inline uint32_t usb_buffers_done(void) { return register_read(USB_BUFFER_STATUS); }
static inline void usb_clear_buffers(uint32_t bits) { register_write(USB_BUFFER_STATUS, bits); }
// Endpoint 0 stalls only what was armed for it, until the next setup packet.
static inline void usb_stall_control(void) {
    register_write(USB_STALL_ARM, 3u);
    usb_buffer_set(0u, USB_IN, BUFFER_STALL);
    usb_buffer_set(0u, USB_OUT, BUFFER_STALL);
}

#endif
