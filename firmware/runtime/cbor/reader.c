// SPDX-License-Identifier: Apache-2.0
// One flat CBOR map with text keys: no recursion, no containers inside.
#include <string.h>

#include "coffret/cbor.h"

enum { MAJOR_BYTES = 2, MAJOR_TEXT = 3, MAJOR_ARRAY = 4, MAJOR_MAP = 5, MAJOR_TAG = 6, MAJOR_SIMPLE = 7 };
enum { INFO_FALSE = 20, INFO_8_BITS = 24, INFO_64_BITS = 27 };

struct reader {
    const uint8_t *at;
    const uint8_t *end;
};

static uint32_t major_of(const struct cbor_value *item) { return item->head >> 5; }
static uint32_t info_of(const struct cbor_value *item) { return item->head & 31u; }

// A head: its number, which is a length or a count too.
static bool read_head(struct reader *reader, struct cbor_value *item) {
    if (reader->at == reader->end) {
        return false;
    }
    item->head = *reader->at++;
    item->wide = false;
    item->value = info_of(item);
    if (item->value < INFO_8_BITS) {
        return true;
    }
    if (item->value > INFO_64_BITS) {
        return false; // reserved, or an indefinite length
    }
    uint32_t extra = 1u << (item->value - INFO_8_BITS);
    for (item->value = 0; extra > 0u; extra--) {
        if (reader->at == reader->end) {
            return false;
        }
        item->wide |= item->value >> 24 != 0u;
        item->value = item->value << 8 | *reader->at++;
    }
    return true;
}

// A number, a simple value, or a string with its content.
static bool read_item(struct reader *reader, struct cbor_value *item) {
    if (!read_head(reader, item) || (major_of(item) >= MAJOR_ARRAY && major_of(item) <= MAJOR_TAG)) {
        return false;
    }
    if (major_of(item) == MAJOR_BYTES || major_of(item) == MAJOR_TEXT) {
        if (item->wide || item->length > (size_t)(reader->end - reader->at)) {
            return false;
        }
        item->data = reader->at;
        reader->at += item->length;
    }
    return true;
}

static bool take(struct cbor_value *value, uint32_t major, const struct cbor_value *item) {
    if (value->present || item->wide || major_of(item) != major) {
        return false;
    }
    *value = *item;
    value->present = true;
    if (major == MAJOR_SIMPLE) {
        value->value = info_of(item) - INFO_FALSE;
        return value->value <= 1u;
    }
    return true;
}

bool cbor_read_map(const uint8_t *data, size_t length, const char *keys, struct cbor_value *values) {
    struct reader reader = {data, data + length};
    struct cbor_value map;
    if (!read_head(&reader, &map) || major_of(&map) != MAJOR_MAP || map.wide) {
        return false;
    }
    while (map.value-- > 0) {
        struct cbor_value name;
        struct cbor_value item = {.data = NULL};
        if (!read_item(&reader, &name) || major_of(&name) != MAJOR_TEXT || !read_item(&reader, &item)) {
            return false;
        }
        struct cbor_value *value = values;
        size_t size;
        for (const char *key = keys; (size = strlen(key)) != 0u; key += size + 1u) {
            if (size - 1u == name.length && memcmp(key + 1, name.data, name.length) == 0 &&
                !take(value, key[0] & 7u, &item)) {
                return false;
            }
            value++;
        }
    }
    return reader.at == reader.end;
}
