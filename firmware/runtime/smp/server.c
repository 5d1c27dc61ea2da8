// SPDX-License-Identifier: Apache-2.0
#include "smp/server.h"

#include <string.h>

#include "coffret/boot_state.h"
#include "smp/backend.h"

struct smp_request {
    uint16_t group;
    uint16_t length;            // of the payload, CBOR
    uint8_t command;
    uint8_t operation;
};

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

// The last of smp_commands, if nobody answers this.
static const struct smp_command *find(const struct smp_request *request) {
    const struct smp_command *command = smp_commands;
    while (command->handler != NULL && (command->group != request->group || command->command != request->command ||
                                        command->operation != request->operation)) {
        command++;
    }
    return command;
}

static int dispatch(struct smp_server *server, const struct smp_request *request,
                    struct cbor_writer *reply) {
    struct cbor_value given[SMP_KEYS];
    const struct smp_command *command = find(request);
    if (command->handler == NULL) {
        return SMP_NOT_SUPPORTED;
    }
    const uint8_t *payload = server->request + SMP_HEADER;
    if (!cbor_read_map(payload, request->length, command->keys, given, command->keys_count)) {
        return SMP_INVALID;
    }
    return command->handler(server, given, reply);
}

static void write_error(struct cbor_writer *reply, int error, uint8_t version, uint16_t group) {
    int version_1 = error >> 8;
    cbor_write_map(reply, 1);
    if (version_1 != 0 && version != 0) {
        cbor_write_text(reply, "err");
        cbor_write_map(reply, 2);
        smp_put_uint(reply, "group", group);
    }
    smp_put_uint(reply, "rc", (uint32_t)(version_1 != 0 && version == 0 ? version_1 : error & 0xFF));
}

// Not into the loop over bytes below, where it would only cost registers.
// Header: reserved (3 bits), version (2), operation (3); flags; length of the payload; group; sequence; command.
__attribute__((noinline)) static void serve(struct smp_server *server, size_t length) {
    const uint8_t *header = server->request;
    struct smp_request request = {.group = (uint16_t)(header[4] << 8 | header[5]),
                                  .length = (uint16_t)(header[2] << 8 | header[3]),
                                  .command = header[7],
                                  .operation = header[0] & 7u};
    uint8_t version = header[0] >> 3 & 3u;
    if (length < SMP_HEADER || length - SMP_HEADER != request.length ||
        (request.operation != SMP_READ && request.operation != SMP_WRITE)) {
        return; // no request, so nobody to answer
    }
    // The handler may use the request's buffer once it has read it, so the header is kept first.
    memcpy(server->reply, header, SMP_HEADER);
    struct cbor_writer reply;
    uint8_t *body = server->reply + SMP_HEADER;
    // The frame's own length and CRC share the host's buffer of the same size.
    size_t capacity = SMP_BUFFER - SMP_HEADER - 4u;
    cbor_writer_start(&reply, body, capacity);
    int error = version > 1 ? (int)SMP_TOO_NEW : dispatch(server, &request, &reply);
    if (version > 1) {
        version = 1;
    }
    if (error == SMP_OK && cbor_writer_length(&reply) == 0) {
        error = SMP_TOO_LARGE;
    }
    if (error != SMP_OK) {
        cbor_writer_start(&reply, body, capacity);
        write_error(&reply, error, version, request.group);
    }
    size_t size = cbor_writer_length(&reply);
    server->reply[0] = (uint8_t)(version << 3 | (request.operation + 1u));
    server->reply[1] = 0;
    server->reply[2] = (uint8_t)(size >> 8);
    server->reply[3] = (uint8_t)size;
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
