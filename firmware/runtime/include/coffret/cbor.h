// SPDX-License-Identifier: Apache-2.0
// CBOR (RFC 8949): a bounded writer and a bounded reader over the caller's buffers. Definite lengths only.
#ifndef COFFRET_CBOR_H
#define COFFRET_CBOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// ---- writer: deterministic heads (RFC 8949 section 4.2.1), the caller gives map keys in their order ----
struct cbor_writer {
    uint8_t *start;
    uint8_t *at;
    uint8_t *end;
    bool full;          // something did not fit; what follows is dropped. Look once, at the end
};

void cbor_writer_start(struct cbor_writer *writer, uint8_t *buffer, size_t capacity);
void cbor_write_map(struct cbor_writer *writer, uint32_t pairs);
void cbor_write_array(struct cbor_writer *writer, uint32_t items);
void cbor_write_tag(struct cbor_writer *writer, uint32_t tag);
void cbor_write_uint(struct cbor_writer *writer, uint32_t value);
void cbor_write_uint64(struct cbor_writer *writer, uint64_t value);
void cbor_write_int(struct cbor_writer *writer, int32_t value);
void cbor_write_bool(struct cbor_writer *writer, bool value);
void cbor_write_bytes(struct cbor_writer *writer, const void *data, size_t length);
void cbor_write_text(struct cbor_writer *writer, const char *text);
void cbor_write_text_length(struct cbor_writer *writer, const char *text, size_t length);
// A byte string whose content the caller fills in: NULL when it does not fit.
uint8_t *cbor_write_bytes_space(struct cbor_writer *writer, size_t length);
// Bytes written so far; 0 when something did not fit.
size_t cbor_writer_length(const struct cbor_writer *writer);

// ---- reader: one flat map with text keys, as every SMP request is ----

// The keys that a reader knows, one behind the other: a byte with the major type, the name, a NUL.
#define CBOR_UINT(name) "\x08" name "\0"
#define CBOR_BYTES(name) "\x0A" name "\0"
#define CBOR_TEXT(name) "\x0B" name "\0"
#define CBOR_BOOL(name) "\x0F" name "\0"

struct cbor_value {
    bool present;
    uint8_t head;           // the item's first byte
    bool wide;              // a number above 32 bits
    union {
        uint32_t value;     // CBOR_UINT, CBOR_BOOL
        uint32_t length;    // CBOR_BYTES, CBOR_TEXT
    };
    const uint8_t *data;    // CBOR_BYTES, CBOR_TEXT: inside the caller's buffer
};

// Reads `data` as exactly one flat map; values[i], which the caller has zeroed, gets what the i-th of `keys` names, other
// keys are skipped. False, and no value may be used, if it is not well-formed, has trailing bytes, an indefinite length,
// an array, map or tag inside, a named key twice or with another type, or an integer above 32 bits there. The work is
// bounded by `length`, the stack by a constant.
bool cbor_read_map(const uint8_t *data, size_t length, const char *keys, struct cbor_value *values);

#endif
