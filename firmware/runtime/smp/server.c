// SPDX-License-Identifier: Apache-2.0
#include "smp/server.h"

#include <string.h>

#include "coffret/boot_state.h"
#include "smp/backend.h"

// Header: reserved (3 bits), version (2), operation (3); flags; length of the payload; group; sequence; command.
enum { OPERATION = 7, VERSION_1 = 1 << 3, VERSION = 3 << 3 };

static uint32_t load16(const uint8_t *bytes) { return (uint32_t)(bytes[0] << 8 | bytes[1]); }

static uint32_t operation_of(const uint8_t *header) { return header[0] & OPERATION; }
static uint32_t length_of(const uint8_t *header) { return load16(header + 2); }
static uint32_t group_of(const uint8_t *header) { return load16(header + 4); }

void smp_put_uint(struct cbor_writer *reply, const char *key, uint32_t value) {
    cbor_write_text(reply, key);
    cbor_write_uint(reply, value);
}

void smp_put_bool(struct cbor_writer *reply, const char *key, bool value) {
    cbor_write_text(reply, key);
    cbor_write_bool(reply, value);
}

void smp_put_bytes(struct cbor_writer *reply, const char *key, const void *data, size_t length) {
    cbor_write_text(reply, key);
    cbor_write_bytes(reply, data, length);
}

void smp_put_text(struct cbor_writer *reply, const char *key, const char *text) {
    cbor_write_text(reply, key);
    cbor_write_text(reply, text);
}

static int dispatch(struct smp_server *server, const uint8_t *request, struct cbor_writer *reply) {
    struct cbor_value given[SMP_KEYS] = {0};
    uint32_t id = SMP_COMMAND(operation_of(request), group_of(request), request[7]);
    for (const struct smp_command *command = smp_commands; command->handler != NULL; command++) {
        if (command->id == id) {
            return cbor_read_map(request + SMP_HEADER, length_of(request), command->keys, given)
                       ? command->handler(server, given, reply)
                       : (int)SMP_INVALID;
        }
    }
    return SMP_NOT_SUPPORTED;
}

// What Zephyr's img_mgmt_translate_error_code() makes of a group's code.
static uint32_t in_version_1(uint32_t code) {
    static const uint8_t nearest[] = {
#define NEAREST(error, result) [(error) - GROUP_ERROR] = (result)
        NEAREST(IMAGE_NO_IMAGE, SMP_NOT_FOUND),        NEAREST(IMAGE_NO_TLVS, SMP_NOT_FOUND),
        NEAREST(IMAGE_NO_FREE_SLOT, SMP_BAD_STATE),    NEAREST(IMAGE_INVALID_SLOT, SMP_INVALID),
        NEAREST(IMAGE_INVALID_OFFSET, SMP_INVALID),    NEAREST(IMAGE_INVALID_LENGTH, SMP_INVALID),
        NEAREST(IMAGE_INVALID_HEADER, SMP_INVALID),    NEAREST(IMAGE_INVALID_MAGIC, SMP_INVALID),
        NEAREST(IMAGE_INVALID_HASH, SMP_INVALID),      NEAREST(IMAGE_INVALID_ADDRESS, SMP_INVALID),
        NEAREST(IMAGE_CURRENT_NEWER, SMP_BAD_STATE),   NEAREST(IMAGE_ALREADY_PENDING, SMP_BAD_STATE),
        NEAREST(IMAGE_TOO_LARGE, SMP_INVALID),         NEAREST(IMAGE_OVERRUN, SMP_INVALID),
        NEAREST(IMAGE_CONFIRM_DENIED, SMP_BAD_STATE),  NEAREST(IMAGE_TEST_ACTIVE_DENIED, SMP_BAD_STATE)};
    return nearest[code] != SMP_OK ? nearest[code] : SMP_UNKNOWN;
}

static void write_error(struct cbor_writer *reply, uint32_t error, bool version_1, uint32_t group) {
    uint32_t code = error & ~(uint32_t)GROUP_ERROR;
    cbor_write_map(reply, 1);
    if (code != error && version_1) {
        code = in_version_1(code);
    } else if (code != error) {
        cbor_write_text(reply, "err");
        cbor_write_map(reply, 2);
        smp_put_uint(reply, "group", group);
    }
    smp_put_uint(reply, "rc", code);
}

// Not into the loop over bytes below, where it would only cost registers.
__attribute__((noinline)) static void serve(struct smp_server *server, size_t length) {
    const uint8_t *request = server->request + SMP_FRAME_HEAD;
    uint8_t *answer = server->reply + SMP_FRAME_HEAD;
    uint32_t version = request[0] & VERSION;
    uint32_t operation = operation_of(request);
    if (length < SMP_HEADER || length - SMP_HEADER != length_of(request) ||
        (operation != SMP_READ && operation != SMP_WRITE)) {
        return; // no request, so nobody to answer
    }
    // The handler may use the request's buffer once it has read it, so the header is kept first.
    memcpy(answer, request, SMP_HEADER);
    struct cbor_writer reply;
    // The frame's own length and CRC share the host's buffer of the same size.
    size_t capacity = SMP_BUFFER - SMP_HEADER - SMP_FRAME_HEAD - SMP_FRAME_CRC;
    cbor_writer_start(&reply, answer + SMP_HEADER, capacity);
    int error = version > VERSION_1 ? (int)SMP_TOO_NEW : dispatch(server, request, &reply);
    size_t size = cbor_writer_length(&reply);
    if (error == SMP_OK && size == 0u) {
        error = SMP_TOO_LARGE;
    }
    if (error != SMP_OK) {
        cbor_writer_start(&reply, answer + SMP_HEADER, capacity);
        write_error(&reply, (uint32_t)error, version == 0u, group_of(answer));
        size = cbor_writer_length(&reply);
    }
    answer[0] = (uint8_t)((version != 0u ? VERSION_1 : 0) + operation + 1u);
    answer[1] = 0;
    answer[2] = (uint8_t)(size >> 8);
    answer[3] = (uint8_t)size;
    smp_frame_send(server->reply, SMP_HEADER + size);
    if (server->reset) {
        server->reset = false; // should it fail, it was only asked for once
        smp_reset(server->reset_to_recovery);
    }
}

void smp_server_start(struct smp_server *server, const struct boot_services *services) {
    memset(server, 0, sizeof *server);
    server->services = services;
    server->refused_slot = BOOT_SLOT_NONE;
    smp_framer_start(&server->framer, server->request, SMP_BUFFER);
}

void smp_server_feed(struct smp_server *server, const uint8_t *data, size_t length) {
    while (length-- > 0) {
        size_t message = smp_framer_feed(&server->framer, *data++);
        if (message != 0) {
            serve(server, message);
        }
    }
}
