// SPDX-License-Identifier: Apache-2.0
// An update as the difference to the image that runs, applied as it comes in: little endian, in words of the table below.
//
//   struct delta_header, then `segments` of struct delta_segment, then tokens until the target is whole.
//   token: 0x80 a jump follows | 0x70 literals (7: a number more) | 0x0F copied bytes (15: a number more),
//          then those numbers, the jump (zigzag), the literals. Numbers: seven bits a byte, low ones first, at most four bytes.
//
// A token's literals are the target's next bytes; the cursor in the base moves on by as many, and by the jump; then bytes are
// copied from there. The base is read as if it had been linked for the other slot: a whole word that is an address
// in it moves by the distance of the slots and by the shift of the last segment that begins at or before the place it names.
#ifndef COFFRET_SMP_DELTA_H
#define COFFRET_SMP_DELTA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "board_config.h"
#include "smp/slot_image.h"

#define DELTA_MAGIC 0x31444643u     // "CFD1"
#define DELTA_SEGMENTS 32u
#define DELTA_PAGE 0x4000u           // of the target; no token crosses its end, so a packet's work is bounded
#define DELTA_START (IMAGE_HEADER_SIZE + sizeof(struct image_hint))
// Gathered before it is written: whole program units.
#define DELTA_BUFFER (BOARD_FLASH_PROGRAM_SIZE > 256u ? BOARD_FLASH_PROGRAM_SIZE : 256u)
_Static_assert(DELTA_PAGE % DELTA_BUFFER == 0, "nothing is gathered at the end of a page");

struct delta_header {
    uint32_t magic;
    uint32_t length;                // of the target, bytes
    uint8_t base[32];               // digest (SHA256 TLV) of the image that must run
    uint8_t target[32];             // SHA-256 of the target, all of it
    uint8_t start[DELTA_START];     // the target's first bytes: what can be refused is refused by them
    uint16_t segments;
    uint16_t reserved;              // 0
};
_Static_assert(sizeof(struct delta_header) == 148, "as flasher/delta/layout.py packs it");

struct delta_segment {
    uint32_t start;                 // offset in the base; ascending
    uint32_t shift;                 // modulo 2^32
};

struct delta_base {
    const uint8_t *bytes;
    uint32_t length;
    uint32_t address;               // where it runs
    uint32_t move;                  // from there to the other slot, modulo 2^32
};

enum delta_state { DELTA_TOKEN, DELTA_LITERALS, DELTA_COPIED, DELTA_JUMP, DELTA_BYTES };

struct delta {
    struct delta_base base;
    struct delta_segment segment[DELTA_SEGMENTS];
    uint32_t segments;
    uint32_t length;                // of the target
    uint32_t made;                  // so much of it
    uint32_t cursor;                // in the base; anything, until something is copied from there
    uint32_t literals, copied, jump; // of the token
    uint32_t number;                // that is being read
    uint32_t gathered;
    uint8_t bits;                   // of that number, so far
    uint8_t state;                  // enum delta_state: what the next byte is
    uint8_t token;
    uint8_t target[32];
    uint8_t buffer[DELTA_BUFFER];
};

// The bytes that came out, a multiple of a program unit but at the target's end. False: the flash refused.
typedef bool delta_sink(void *context, const uint8_t *data, uint32_t length);

// Whether an upload that begins like this is a delta.
bool delta_is(const uint8_t *data, size_t length);
// Its header, if all of that and the segments are in these bytes: REASON_OK or REASON_DELTA.
uint8_t delta_header(const uint8_t *data, size_t length, struct delta_header *header);
// Bytes of header and segments.
uint32_t delta_header_size(const struct delta_header *header);
// After delta_header(); the target's `start` is made.
void delta_open(struct delta *delta, const struct delta_header *header, const uint8_t *data, const struct delta_base *base);
// Takes `length` bytes, or as many as end the token that ends a page of the target: a mark can be set there. `taken`: how many.
// REASON_OK, REASON_DELTA or REASON_FLASH.
uint8_t delta_take(struct delta *delta, const uint8_t *data, uint32_t length, uint32_t *taken, delta_sink *sink, void *context);
// The target is whole.
bool delta_complete(const struct delta *delta);

#endif
