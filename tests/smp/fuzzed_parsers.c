// SPDX-License-Identifier: Apache-2.0
// Each parser over a heap block of exactly the input's size, so that the address sanitizer sees one byte too far.
// A case on standard input: kind u8, parameter u8, length u16 (little endian), bytes. The answer: length u16, bytes.
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "coffret/cbor.h"
#include "smp/backend.h"
#include "smp/frame.h"
#include "smp/slot_image.h"

enum kind { KIND_READ_MAP = 0, KIND_FRAME = 1, KIND_SLOT = 2, KIND_WRITE = 3, KIND_SEND = 4 };

static struct {
    uint8_t bytes[1 << 16];
    size_t length;
} answer;

static void put(const void *data, size_t length) {
    memcpy(answer.bytes + answer.length, data, length);
    answer.length += length;
}

static void put32(uint32_t value) { put(&value, 4); }

void smp_port_write(const uint8_t *data, size_t length) { put(data, length); }

// Accepted, then for each key: present, number or length, content of strings.
static void read_map(const uint8_t *data, size_t length) {
    static const char keys[] = CBOR_UINT("u") CBOR_BYTES("b") CBOR_TEXT("t") CBOR_BOOL("f");
    struct cbor_value values[4] = {0};
    if (!cbor_read_map(data, length, keys, values)) {
        return;
    }
    for (size_t i = 0; i < 4; i++) {
        put32(values[i].present);
        put32(values[i].present ? values[i].value : 0);
        if (values[i].present && (i == 1 || i == 2)) {
            put(values[i].data, values[i].length);
        }
    }
}

// The messages in a stream, into a buffer of `capacity` bytes; each with its length in front.
static void frame(const uint8_t *data, size_t length, uint8_t capacity) {
    uint8_t *buffer = malloc(SMP_FRAME_HEAD + capacity);
    struct smp_framer framer;
    smp_framer_start(&framer, buffer, capacity);
    for (size_t i = 0; i < length; i++) {
        size_t message = smp_framer_feed(&framer, data[i]);
        if (message != 0) {
            put32((uint32_t)message);
            put(buffer + SMP_FRAME_HEAD, message);
        }
    }
    free(buffer);
}

static void slot(const uint8_t *data, size_t length) {
    if (length < IMAGE_HEADER_SIZE) {
        return; // a slot is larger
    }
    const uint8_t *digest = slot_image_digest((const struct slot_image *)data, (uint32_t)length);
    if (digest != NULL) {
        put(digest, 32);
    }
}

static void send_frame(const uint8_t *data, size_t length) {
    uint8_t *frame = malloc(SMP_FRAME_HEAD + length + SMP_FRAME_TAIL);
    memcpy(frame + SMP_FRAME_HEAD, data, length);
    smp_frame_send(frame, length);
    free(frame);
}

// One of each, into `capacity` bytes; the input is the string's content.
static void write_all(const uint8_t *data, size_t length, uint8_t capacity) {
    uint8_t *buffer = malloc(capacity);
    struct cbor_writer writer;
    cbor_writer_start(&writer, buffer, capacity);
    cbor_write_array(&writer, 10);
    cbor_write_uint(&writer, (uint32_t)length * 0x10001u);
    cbor_write_int(&writer, -1 - (int32_t)length * 1000);
    cbor_write_int(&writer, (int32_t)length);
    cbor_write_uint64(&writer, (uint64_t)length << 33);
    cbor_write_bool(&writer, length & 1);
    cbor_write_map(&writer, 1);
    cbor_write_text(&writer, "key");
    cbor_write_bytes(&writer, data, length);
    cbor_write_tag(&writer, 24);
    cbor_write_bytes(&writer, data, length);
    uint8_t *space = cbor_write_bytes_space(&writer, length);
    if (space != NULL) {
        memcpy(space, data, length);
    }
    cbor_write_text_length(&writer, "longer", 4);
    cbor_write_int(&writer, INT32_MIN);
    put(buffer, cbor_writer_length(&writer));
    free(buffer);
}

static bool take(void *to, size_t length) {
    for (size_t done = 0; done < length;) {
        ssize_t count = read(0, (uint8_t *)to + done, length - done);
        if (count <= 0) {
            return false;
        }
        done += (size_t)count;
    }
    return true;
}

int main(void) {
    uint8_t head[4];
    while (take(head, sizeof head)) {
        size_t length = head[2] | (size_t)head[3] << 8;
        uint8_t *data = malloc(length != 0 ? length : 1);
        if (!take(data, length)) {
            return 1;
        }
        answer.length = 2;
        switch ((enum kind)head[0]) {
        case KIND_READ_MAP:
            read_map(data, length);
            break;
        case KIND_FRAME:
            frame(data, length, head[1]);
            break;
        case KIND_SLOT:
            slot(data, length);
            break;
        case KIND_WRITE:
            write_all(data, length, head[1]);
            break;
        case KIND_SEND:
            send_frame(data, length);
            break;
        }
        free(data);
        answer.bytes[0] = (uint8_t)(answer.length - 2);
        answer.bytes[1] = (uint8_t)((answer.length - 2) >> 8);
        if (write(1, answer.bytes, answer.length) != (ssize_t)answer.length) {
            return 1;
        }
    }
    return 0;
}
