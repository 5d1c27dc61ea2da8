// SPDX-License-Identifier: Apache-2.0
// What the device says of itself (USB 2.0, section 9.6; CDC 1.2, section 5.2; PSTN 1.2, section 5.3).
#include <string.h>

#include "board_config.h"
#include "coffret/handoff.h"
#include "coffret/section.h"
#include "usb.h"
#include "usb_controller.h"

enum { DEVICE = 1, CONFIGURATION = 2, STRING = 3, INTERFACE = 4, ENDPOINT = 5, ASSOCIATION = 11, CLASS_INTERFACE = 0x24 };
enum { TEXT_LANGUAGES = 0, TEXT_MAKER, TEXT_PRODUCT, TEXT_MANAGEMENT, TEXT_STREAM, TEXT_SERIAL, TEXTS };

#define LOW(word) ((word) & 0xFFu)
#define HIGH(word) ((word) >> 8)

static const uint8_t device[] = {
    18, DEVICE, 0x00, 0x02,                 // USB 2.0
    0xEF, 0x02, 0x01,                       // functions are named by interface associations
    USB_PACKET,
    LOW(BOARD_USB_VENDOR), HIGH(BOARD_USB_VENDOR), LOW(BOARD_USB_PRODUCT), HIGH(BOARD_USB_PRODUCT),
    0x00, 0x01,                             // release 1.0
    TEXT_MAKER, TEXT_PRODUCT, TEXT_SERIAL, 1, // one configuration
};

// One serial port: a control interface with an endpoint for notifications, of which there are none, and a data interface.
#define FUNCTION_SIZE 66
#define FUNCTION(first_interface, notify, data, text)                                                                  \
    8, ASSOCIATION, (first_interface), 2, 2, 2, 0, (text),                                                             \
    9, INTERFACE, (first_interface), 0, 1, 2, 2, 0, (text),             /* communications, ACM, no protocol */         \
    5, CLASS_INTERFACE, 0x00, 0x20, 0x01,                               /* header: CDC 1.2 */                          \
    5, CLASS_INTERFACE, 0x01, 0x00, (first_interface) + 1,              /* call management: none */                    \
    4, CLASS_INTERFACE, 0x02, 0x02,                                     /* ACM: line coding and line state */          \
    5, CLASS_INTERFACE, 0x06, (first_interface), (first_interface) + 1, /* union */                                    \
    7, ENDPOINT, 0x80 | (notify), USB_INTERRUPT, 8, 0, 16,                                                             \
    9, INTERFACE, (first_interface) + 1, 0, 2, 10, 0, 0, 0,             /* data */                                     \
    7, ENDPOINT, (data), USB_BULK, USB_PACKET, 0, 0,                                                                   \
    7, ENDPOINT, 0x80 | (data), USB_BULK, USB_PACKET, 0, 0

#define CONFIGURATION_SIZE (9 + 2 * FUNCTION_SIZE)

static const uint8_t configuration[] = {
    9, CONFIGURATION, LOW(CONFIGURATION_SIZE), HIGH(CONFIGURATION_SIZE), 4, 1, 0, 0x80, 50, // from the bus, 100 mA
    FUNCTION(0, 1, 2, TEXT_MANAGEMENT),
    FUNCTION(2, 3, 4, TEXT_STREAM),
};
_Static_assert(sizeof configuration == CONFIGURATION_SIZE, "the configuration states its size");

static const char *const texts[] = {"", "coffret", BOARD_NAME, "management", "stream"};
_Static_assert(sizeof texts / sizeof texts[0] == TEXT_SERIAL, "all but the serial number, which is no constant");

#define TEXT_MAX 32u            // a board's name has that many characters at most
#define SERIAL_BYTES 8u

// The board's own: the random part of its instance id, as machine.unique_id() has it. Boot measured it before USB starts.
static size_t write_serial(char *to) {
    static const char digits[] = "0123456789abcdef";
    const uint8_t *id = ((const struct handoff *)BOARD_BOOT_HANDOFF_BASE)->identity.instance_id + 1;
    for (uint32_t i = 0; i < 2u * SERIAL_BYTES; i++) {
        to[i] = digits[id[i / 2u] >> (i % 2u == 0u ? 4u : 0u) & 0xFu];
    }
    return 2u * SERIAL_BYTES;
}

static const uint8_t *text(uint32_t index, size_t *length) {
    MONITOR_BSS static uint8_t descriptor[2u + 2u * TEXT_MAX]; // UTF-16
    char serial[2u * SERIAL_BYTES];
    if (index >= TEXTS) {
        return NULL;
    }
    const char *said = index == TEXT_SERIAL ? serial : texts[index];
    size_t count = index == TEXT_SERIAL ? write_serial(serial) : strlen(said);
    if (index == TEXT_LANGUAGES) {
        descriptor[2] = 0x09; // English, United States
        descriptor[3] = 0x04;
        count = 1;
    } else {
        for (size_t i = 0; i < count; i++) {
            descriptor[2u + 2u * i] = (uint8_t)said[i];
            descriptor[3u + 2u * i] = 0;
        }
    }
    descriptor[0] = (uint8_t)(2u + 2u * count);
    descriptor[1] = STRING;
    *length = descriptor[0];
    return descriptor;
}

const uint8_t *usb_descriptor(uint32_t type, uint32_t index, size_t *length) {
    switch (type) {
        case DEVICE: *length = sizeof device; return index == 0 ? device : NULL;
        case CONFIGURATION: *length = sizeof configuration; return index == 0 ? configuration : NULL;
        case STRING: return text(index, length);
        default: return NULL; // a device qualifier too: there is no other speed
    }
}
