// SPDX-License-Identifier: Apache-2.0
// mcumgr's console framing: lines of 0x06 0x09 (first) or 0x04 0x14 (more), base64, newline; inside, the length
// and the message and its CRC-16 (Zephyr documentation, "SMP over console").
#ifndef COFFRET_SMP_FRAME_H
#define COFFRET_SMP_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SMP_FRAME_HEAD 2u   // bytes of a frame before the message: the length of what follows, big endian
#define SMP_FRAME_CRC 2u    // and behind it
#define SMP_FRAME_TAIL 4u   // what a buffer has behind a message that is sent: the CRC, and what may lack to three bytes

struct smp_framer {
    uint8_t *buffer;        // the frame
    uint16_t capacity;      // for message and CRC
    uint16_t length;        // bytes decoded
    uint16_t expected;      // bytes of the frame, once its length is in
    uint8_t digits;         // base64 digits of this line
    uint8_t before;         // the byte that came before
    bool in_line;
    uint32_t bits;          // of the last digits
};

// `buffer` has SMP_FRAME_HEAD + `capacity` bytes.
void smp_framer_start(struct smp_framer *framer, uint8_t *buffer, uint16_t capacity);

// Takes one byte from the wire. Returns the message's length when this byte completed a good one, which lies in the buffer
// from SMP_FRAME_HEAD on; else 0. Anything malformed is dropped up to the next start of a frame.
size_t smp_framer_feed(struct smp_framer *framer, uint8_t byte);

// Sends a message of `length` bytes in lines of at most 127 bytes through smp_port_write (backend.h). It lies in `frame`
// from SMP_FRAME_HEAD on, with SMP_FRAME_TAIL bytes behind it.
void smp_frame_send(uint8_t *frame, size_t length);

#endif
