// SPDX-License-Identifier: Apache-2.0
// One flat CBOR map with text keys: no recursion, no containers inside.
#include <string.h>

#include "coffret/cbor.h"

enum { MAJOR_TEXT = 3, MAJOR_ARRAY = 4, MAJOR_MAP = 5, MAJOR_TAG = 6, SIMPLE_FALSE = 20 };

struct reader {
    const uint8_t *at;
    const uint8_t *end;
};

struct item {
    uint8_t major;
    uint8_t info;           // additional information: tells false from true
    bool wide;              // `value` needs more than 32 bits
    uint32_t value;         // a number, a length, or a count
    const uint8_t *data;    // of a string
};

static size_t left(const struct reader *reader) {
    return (size_t)(reader->end - reader->at);
}

static bool read_head(struct reader *reader, struct item *item) {
    if (left(reader) == 0) {
        return false;
    }
    uint8_t first = *reader->at++;
    item->major = first >> 5;
    item->info = first & 31u;
    item->wide = false;
    item->value = item->info;
    if (item->info < 24) {
        return true;
    }
    if (item->info > 27) {
        return false; // reserved, or an indefinite length
    }
    size_t extra = (size_t)1 << (item->info - 24);
    if (left(reader) < extra) {
        return false;
    }
    item->value = 0;
    while (extra-- > 0) {
        item->wide |= item->value >> 24 != 0;
        item->value = item->value << 8 | *reader->at++;
    }
    return true;
}

// A number, a simple value, or a string with its content.
static bool read_item(struct reader *reader, struct item *item) {
    if (!read_head(reader, item) || (item->major >= MAJOR_ARRAY && item->major <= MAJOR_TAG)) {
        return false;
    }
    if (item->major == CBOR_BYTES || item->major == CBOR_TEXT) {
        if (item->wide || item->value > left(reader)) {
            return false;
        }
        item->data = reader->at;
        reader->at += item->value;
    }
    return true;
}

static bool take(struct cbor_value *value, enum cbor_type type, const struct item *item) {
    bool is_bool = type == CBOR_BOOL;
    if (value->present || item->major != type || item->wide ||
        (is_bool && (item->info & ~1u) != SIMPLE_FALSE)) {
        return false;
    }
    value->present = true;
    value->value = is_bool ? item->info & 1u : item->value;
    value->data = item->data;
    return true;
}

bool cbor_read_map(const uint8_t *data, size_t length, const struct cbor_key *keys,
                   struct cbor_value *values, size_t count) {
    struct reader reader = {data, data + length};
    struct item map;
    for (size_t i = 0; i < count; i++) {
        values[i].present = false;
    }
    if (!read_head(&reader, &map) || map.major != MAJOR_MAP || map.wide) {
        return false;
    }
    while (map.value-- > 0) {
        struct item key;
        struct item item = {.data = NULL};
        if (!read_item(&reader, &key) || key.major != MAJOR_TEXT || !read_item(&reader, &item)) {
            return false;
        }
        for (size_t i = 0; i < count; i++) {
            if (strlen(keys[i].name) == key.value && memcmp(keys[i].name, key.data, key.value) == 0 &&
                !take(&values[i], keys[i].type, &item)) {
                return false;
            }
        }
    }
    return left(&reader) == 0;
}
