// SPDX-License-Identifier: Apache-2.0
// Endpoint 0: the requests of USB 2.0 chapter 9 and of the serial functions, one at a time (sections 8.5.3 and 9.4).
#include <string.h>

#include "coffret/section.h"
#include "usb.h"
#include "usb_controller.h"

enum { TO_DEVICE = 0, TO_INTERFACE = 1, TO_ENDPOINT = 2 };
enum { STANDARD = 0, CLASS = 1 };

enum standard_request {
    GET_STATUS = 0, CLEAR_FEATURE = 1, SET_FEATURE = 3, SET_ADDRESS = 5, GET_DESCRIPTOR = 6,
    GET_CONFIGURATION = 8, SET_CONFIGURATION = 9, GET_INTERFACE = 10, SET_INTERFACE = 11
};
enum class_request { SET_LINE_CODING = 0x20, GET_LINE_CODING = 0x21, SET_CONTROL_LINE_STATE = 0x22, SEND_BREAK = 0x23 };
#define ENDPOINT_HALT 0u
#define INTERFACES (2u * USB_FUNCTIONS)

struct setup {
    bool in;                    // the data stage, if any, goes to the host
    uint8_t type, recipient, request;
    uint16_t value, index, length;
};

MONITOR_BSS static struct {
    enum { IDLE, SENDING, SENDING_DONE, TAKING, ACKNOWLEDGING } stage;
    const uint8_t *left;        // of what is sent
    size_t left_length;
    bool end_with_empty;        // the host asked for more, and the last packet is full
    bool data1;
    uint8_t reply[2];
    uint8_t *taking;            // where a line coding goes
    uint8_t new_address;
    bool address_waits;
    uint8_t configuration;
} control;

static void send_packet(void) {
    size_t length = control.left_length < USB_PACKET ? control.left_length : USB_PACKET;
    for (size_t i = 0; i < length; i++) {
        *usb_ram(USB_BUFFER_0 + i) = control.left[i];
    }
    control.left += length;
    control.left_length -= length;
    if (control.left_length == 0 && (length < USB_PACKET || !control.end_with_empty)) {
        control.stage = SENDING_DONE;
    }
    usb_buffer_start(0u, USB_IN, BUFFER_FULL | (control.data1 ? BUFFER_DATA1 : 0u) | (uint32_t)length);
    control.data1 = !control.data1;
}

static bool reply(const struct setup *setup, const uint8_t *data, size_t length) {
    if (!setup->in) {
        return false;
    }
    control.left = data;
    control.left_length = length < setup->length ? length : setup->length;
    control.end_with_empty = control.left_length < setup->length;
    control.stage = SENDING;
    send_packet();
    return true;
}

// An empty packet: the request was obeyed.
static bool acknowledge(void) {
    control.stage = ACKNOWLEDGING;
    usb_buffer_start(0u, USB_IN, BUFFER_FULL | BUFFER_DATA1);
    return true;
}

static bool acknowledge_if(const struct setup *setup, bool obeyed) {
    return !setup->in && setup->length == 0 && obeyed && acknowledge();
}

static bool get_status(const struct setup *setup) {
    bool halted = false;
    bool known = setup->recipient == TO_DEVICE || (setup->recipient == TO_INTERFACE && setup->index < INTERFACES) ||
                 (setup->recipient == TO_ENDPOINT &&
                  ((setup->index & 0x7Fu) == 0u || usb_serial_is_halted(setup->index, &halted)));
    control.reply[0] = halted;
    control.reply[1] = 0;
    return known && reply(setup, control.reply, 2u);
}

static bool set_configuration(const struct setup *setup) {
    if (setup->in || setup->length != 0 || setup->value > 1u) {
        return false;
    }
    control.configuration = (uint8_t)setup->value;
    usb_serial_configure(setup->value == 1u);
    return acknowledge();
}

static bool standard(const struct setup *setup) {
    bool configured = control.configuration != 0;
    bool of_endpoint = setup->recipient == TO_ENDPOINT && setup->value == ENDPOINT_HALT;
    switch (setup->request) {
        case GET_STATUS:
            return get_status(setup);
        case CLEAR_FEATURE:
        case SET_FEATURE:
            return acknowledge_if(setup, of_endpoint && usb_serial_halt(setup->index, setup->request == SET_FEATURE));
        case SET_ADDRESS:
            // Obeyed after the acknowledgement, which still goes by the old one.
            control.new_address = (uint8_t)(setup->value & 0x7Fu);
            control.address_waits = setup->recipient == TO_DEVICE && setup->value < 128u;
            return acknowledge_if(setup, control.address_waits);
        case GET_DESCRIPTOR: {
            size_t length;
            const uint8_t *descriptor = usb_descriptor(setup->value >> 8, setup->value & 0xFFu, &length);
            return setup->recipient == TO_DEVICE && descriptor != NULL && reply(setup, descriptor, length);
        }
        case GET_CONFIGURATION:
            control.reply[0] = control.configuration;
            return setup->recipient == TO_DEVICE && reply(setup, control.reply, 1u);
        case SET_CONFIGURATION:
            return setup->recipient == TO_DEVICE && set_configuration(setup);
        case GET_INTERFACE:
            control.reply[0] = 0; // there is no alternate setting
            return setup->recipient == TO_INTERFACE && configured && setup->index < INTERFACES &&
                   reply(setup, control.reply, 1u);
        case SET_INTERFACE:
            return acknowledge_if(setup, setup->recipient == TO_INTERFACE && configured && setup->index < INTERFACES &&
                                             setup->value == 0u);
        default:
            return false;
    }
}

static bool of_class(const struct setup *setup) {
    uint32_t function = usb_serial_of_interface(setup->index);
    if (setup->recipient != TO_INTERFACE || function == USB_FUNCTIONS) {
        return false;
    }
    switch (setup->request) {
        case SET_LINE_CODING:
            if (setup->in || setup->length != LINE_CODING_SIZE) {
                return false;
            }
            control.taking = usb_serial_line_coding(function);
            control.stage = TAKING;
            usb_buffer_start(0u, USB_OUT, BUFFER_DATA1 | USB_PACKET);
            return true;
        case GET_LINE_CODING:
            return reply(setup, usb_serial_line_coding(function), LINE_CODING_SIZE);
        case SET_CONTROL_LINE_STATE:
            if (setup->in || setup->length != 0) {
                return false;
            }
            usb_serial_set_lines(function, setup->value);
            return acknowledge();
        case SEND_BREAK:
            return acknowledge_if(setup, true);
        default:
            return false;
    }
}

static uint16_t setup_half(uint32_t index) { return (uint16_t)(usb_setup_byte(index) | usb_setup_byte(index + 1u) << 8); }

// A setup packet ends whatever was under way.
static void take_setup(void) {
    uint8_t kind = usb_setup_byte(0u);
    struct setup setup = {
        .in = (kind & 0x80u) != 0u,
        .type = (kind >> 5) & 3u,
        .recipient = kind & 31u,
        .request = usb_setup_byte(1u),
        .value = setup_half(2u),
        .index = setup_half(4u),
        .length = setup_half(6u),
    };
    control.stage = IDLE;
    control.data1 = true;
    control.address_waits = false;
    usb_buffer_set(0u, USB_IN, 0u);
    usb_buffer_set(0u, USB_OUT, 0u);
    bool answered = setup.type == STANDARD ? standard(&setup) : setup.type == CLASS && of_class(&setup);
    if (!answered) {
        control.stage = IDLE;
        usb_stall_control();
    }
}

static void sent(void) {
    if (control.stage == SENDING) {
        send_packet();
    } else if (control.stage == SENDING_DONE) {
        // The host acknowledges with an empty packet.
        control.stage = IDLE;
        usb_buffer_start(0u, USB_OUT, BUFFER_DATA1 | USB_PACKET);
    } else if (control.stage == ACKNOWLEDGING) {
        control.stage = IDLE;
        if (control.address_waits) {
            control.address_waits = false;
            usb_set_address(control.new_address);
        }
    }
}

static void received(void) {
    if (control.stage != TAKING) {
        return;
    }
    control.stage = IDLE;
    if ((usb_buffer_state(0u, USB_OUT) & BUFFER_LENGTH) != LINE_CODING_SIZE) {
        usb_stall_control();
        return;
    }
    for (uint32_t i = 0; i < LINE_CODING_SIZE; i++) {
        control.taking[i] = *usb_ram(USB_BUFFER_0 + i);
    }
    (void)acknowledge();
}

static void bus_reset(void) {
    memset(&control, 0, sizeof control);
    usb_set_address(0u);
    usb_serial_configure(false);
}

void usb_start(void) {
    block_reset(RESET_USB);
    block_release(RESET_USB);
    usb_ram_clear();
    bus_reset();
    usb_controller_start();
}

void usb_serve(void) {
    uint32_t why = usb_interrupts();
    if ((why & INTERRUPT_BUS_RESET) != 0u) {
        usb_clear_status(STATUS_BUS_RESET);
        bus_reset();
    }
    if ((why & INTERRUPT_BUFFER) != 0u) {
        uint32_t buffers = usb_buffers_done();
        usb_clear_buffers(buffers);
        if ((buffers & 1u << USB_IN) != 0u) {
            sent();
        }
        if ((buffers & 1u << USB_OUT) != 0u) {
            received();
        }
        usb_serial_buffers_done(buffers);
    }
    if ((why & INTERRUPT_SETUP) != 0u) {
        usb_clear_status(STATUS_SETUP);
        take_setup();
    }
}
