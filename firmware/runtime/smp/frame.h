// SPDX-License-Identifier: Apache-2.0
// mcumgr's console framing: lines of 0x06 0x09 (first) or 0x04 0x14 (more), base64, newline; inside, the length
// and the message and its CRC-16 (Zephyr documentation, "SMP over console").
#ifndef COFFRET_SMP_FRAME_H
#define COFFRET_SMP_FRAME_H

#include <stddef.h>
#include <stdint.h>

#define SMP_FRAME_CRC 2u    // bytes of the buffer the CRC takes behind the message

struct smp_framer {
    uint8_t *buffer;        // the message, then its CRC
    uint16_t capacity;
    uint16_t length;        // bytes decoded, the two of the frame length included
    uint16_t expected;      // message and CRC, once its two bytes are in
    uint8_t state;
    uint8_t digits;         // base64 digits waiting in `bits`
    uint32_t bits;
};

void smp_framer_start(struct smp_framer *framer, uint8_t *buffer, uint16_t capacity);

// Takes one byte from the wire. Returns the message's length when this byte completed a good one in the buffer, else 0.
// Anything malformed is dropped up to the next start of a frame.
size_t smp_framer_feed(struct smp_framer *framer, uint8_t byte);

// Sends a message in lines of at most 127 bytes through smp_port_write (backend.h).
void smp_frame_send(const uint8_t *message, size_t length);

#endif
