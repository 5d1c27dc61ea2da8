// SPDX-License-Identifier: Apache-2.0
// CBOR heads in their shortest form (RFC 8949 section 4.2.1), into the caller's buffer.
#include <string.h>

#include "coffret/cbor.h"

enum major {
    MAJOR_UINT = 0,
    MAJOR_NEGATIVE = 1,
    MAJOR_BYTES = 2,
    MAJOR_TEXT = 3,
    MAJOR_ARRAY = 4,
    MAJOR_MAP = 5,
    MAJOR_TAG = 6,
    MAJOR_SIMPLE = 7
};

static uint8_t *reserve(struct cbor_writer *writer, size_t length) {
    if (writer->full || (size_t)(writer->end - writer->at) < length) {
        writer->full = true;
        return NULL;
    }
    uint8_t *at = writer->at;
    writer->at += length;
    return at;
}

static void write_head(struct cbor_writer *writer, enum major major, uint32_t value) {
    unsigned extra = value < 24 ? 0 : value <= 0xFFu ? 1 : value <= 0xFFFFu ? 2 : 4;
    uint8_t *at = reserve(writer, 1 + extra);
    if (at == NULL) {
        return;
    }
    // Additional information: the value itself, or 24, 25, 26 for 1, 2, 4 bytes that follow.
    *at++ = (uint8_t)((unsigned)major << 5 | (extra == 0 ? value : extra == 4 ? 26u : 23u + extra));
    while (extra-- > 0) {
        *at++ = (uint8_t)(value >> (8 * extra));
    }
}

static void write_string(struct cbor_writer *writer, enum major major, const void *data, size_t length) {
    write_head(writer, major, (uint32_t)length);
    uint8_t *at = reserve(writer, length);
    if (at != NULL) {
        memcpy(at, data, length);
    }
}

void cbor_writer_start(struct cbor_writer *writer, uint8_t *buffer, size_t capacity) {
    writer->start = buffer;
    writer->at = buffer;
    writer->end = buffer + capacity;
    writer->full = false;
}

void cbor_write_map(struct cbor_writer *writer, uint32_t pairs) {
    write_head(writer, MAJOR_MAP, pairs);
}

void cbor_write_array(struct cbor_writer *writer, uint32_t items) {
    write_head(writer, MAJOR_ARRAY, items);
}

void cbor_write_tag(struct cbor_writer *writer, uint32_t tag) {
    write_head(writer, MAJOR_TAG, tag);
}

void cbor_write_uint(struct cbor_writer *writer, uint32_t value) {
    write_head(writer, MAJOR_UINT, value);
}

void cbor_write_uint64(struct cbor_writer *writer, uint64_t value) {
    if (value <= UINT32_MAX) {
        write_head(writer, MAJOR_UINT, (uint32_t)value);
        return;
    }
    uint8_t *at = reserve(writer, 9);
    if (at != NULL) {
        *at++ = MAJOR_UINT << 5 | 27;
        for (int shift = 56; shift >= 0; shift -= 8) {
            *at++ = (uint8_t)(value >> shift);
        }
    }
}

void cbor_write_int(struct cbor_writer *writer, int32_t value) {
    if (value < 0) {
        write_head(writer, MAJOR_NEGATIVE, ~(uint32_t)value); // -1 - value
    } else {
        write_head(writer, MAJOR_UINT, (uint32_t)value);
    }
}

void cbor_write_bool(struct cbor_writer *writer, bool value) {
    write_head(writer, MAJOR_SIMPLE, value ? 21 : 20);
}

void cbor_write_bytes(struct cbor_writer *writer, const void *data, size_t length) {
    write_string(writer, MAJOR_BYTES, data, length);
}

void cbor_write_text_length(struct cbor_writer *writer, const char *text, size_t length) {
    write_string(writer, MAJOR_TEXT, text, length);
}

void cbor_write_text(struct cbor_writer *writer, const char *text) {
    write_string(writer, MAJOR_TEXT, text, strlen(text));
}

uint8_t *cbor_write_bytes_space(struct cbor_writer *writer, size_t length) {
    write_head(writer, MAJOR_BYTES, (uint32_t)length);
    return reserve(writer, length);
}

size_t cbor_writer_length(const struct cbor_writer *writer) {
    return writer->full ? 0 : (size_t)(writer->at - writer->start);
}
