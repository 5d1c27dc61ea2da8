// SPDX-License-Identifier: Apache-2.0
// One CBOR map with text keys. No recursion: what is skipped is counted, not descended into.
#include <string.h>

#include "coffret/cbor.h"

struct reader {
    const uint8_t *at;
    const uint8_t *end;
};

static size_t left(const struct reader *reader) {
    return (size_t)(reader->end - reader->at);
}

struct head {
    uint8_t major;
    uint8_t info;       // additional information: tells false (20) from true (21)
    bool wide;          // the value needs more than 32 bits
    uint32_t value;
};

static bool read_head(struct reader *reader, struct head *head) {
    if (left(reader) == 0) {
        return false;
    }
    uint8_t first = *reader->at++;
    *head = (struct head){.major = first >> 5, .info = first & 31u, .value = first & 31u};
    if (head->info < 24) {
        return true;
    }
    if (head->info > 27) {
        return false; // reserved, or an indefinite length
    }
    size_t extra = (size_t)1 << (head->info - 24);
    if (left(reader) < extra) {
        return false;
    }
    head->value = 0;
    while (extra-- > 0) {
        head->wide |= head->value >> 24 != 0;
        head->value = head->value << 8 | *reader->at++;
    }
    return true;
}

static bool is_string(const struct head *head) {
    return head->major == 2 || head->major == 3;
}

// The content of the string whose head was just read.
static bool read_string(struct reader *reader, const struct head *head, const uint8_t **data) {
    if (head->wide || head->value > left(reader)) {
        return false;
    }
    *data = reader->at;
    reader->at += head->value;
    return true;
}

// Steps over one item and all it contains. Every pending item takes at least one byte, so `pending` stays below
// the bytes left and the loop ends.
static bool skip_item(struct reader *reader) {
    size_t pending = 1;
    while (pending > 0) {
        struct head head;
        const uint8_t *ignored;
        if (!read_head(reader, &head)) {
            return false;
        }
        pending--;
        size_t children = 0;
        if (is_string(&head)) {
            if (!read_string(reader, &head, &ignored)) {
                return false;
            }
        } else if (head.major >= 4 && head.major <= 6) {
            if (head.major != 6 && (head.wide || head.value > left(reader))) {
                return false;
            }
            children = head.major == 4 ? head.value : head.major == 5 ? (size_t)head.value * 2 : 1;
        }
        if (children > left(reader) || pending > left(reader) - children) {
            return false;
        }
        pending += children;
    }
    return true;
}

static bool read_value(struct reader *reader, enum cbor_type type, struct cbor_value *value) {
    struct head head;
    if (value->present || !read_head(reader, &head)) {
        return false;
    }
    value->present = true;
    value->value = head.value;
    value->length = head.value;
    switch (type) {
    case CBOR_UINT:
        return head.major == 0 && !head.wide;
    case CBOR_BOOL:
        value->value = head.info & 1u;
        return head.major == 7 && (head.info == 20 || head.info == 21);
    case CBOR_BYTES:
        return head.major == 2 && read_string(reader, &head, &value->data);
    case CBOR_TEXT:
        return head.major == 3 && read_string(reader, &head, &value->data);
    }
    return false;
}

bool cbor_read_map(const uint8_t *data, size_t length, const struct cbor_key *keys,
                   struct cbor_value *values, size_t count) {
    struct reader reader = {data, data + length};
    struct head map;
    for (size_t i = 0; i < count; i++) {
        values[i].present = false;
    }
    if (!read_head(&reader, &map) || map.major != 5 || map.wide) {
        return false;
    }
    while (map.value-- > 0) {
        struct head key;
        const uint8_t *name;
        if (!read_head(&reader, &key) || key.major != 3 || !read_string(&reader, &key, &name)) {
            return false;
        }
        size_t i = 0;
        while (i < count && (strlen(keys[i].name) != key.value ||
                             memcmp(keys[i].name, name, key.value) != 0)) {
            i++;
        }
        if (i < count ? !read_value(&reader, keys[i].type, &values[i]) : !skip_item(&reader)) {
            return false;
        }
    }
    return left(&reader) == 0;
}
