// SPDX-License-Identifier: Apache-2.0
// SMP group 0, os: echo, reset, parameters, bootloader information (Zephyr documentation, "SMP group 0").
#include <string.h>

#include "smp/backend.h"
#include "smp/server.h"

enum os_command { OS_ECHO = 0, OS_RESET = 5, OS_PARAMETERS = 6, OS_BOOTLOADER = 8 };

static int echo(const struct smp_request *request, struct cbor_writer *reply) {
    static const struct cbor_key key = {"d", CBOR_TEXT};
    struct cbor_value text;
    if (!cbor_read_map(request->payload, request->length, &key, &text, 1) || !text.present) {
        return SMP_INVALID;
    }
    cbor_write_map(reply, 1);
    cbor_write_text(reply, "r");
    cbor_write_text_length(reply, (const char *)text.data, text.length);
    return SMP_OK;
}

static int reset(struct smp_server *server, const struct smp_request *request,
                 struct cbor_writer *reply) {
    static const struct cbor_key key = {"boot_mode", CBOR_UINT};
    struct cbor_value mode;
    if (!cbor_read_map(request->payload, request->length, &key, &mode, 1) ||
        (mode.present && mode.value > 1)) {
        return SMP_INVALID;
    }
    server->reset = true;
    server->reset_to_recovery = mode.present && mode.value == 1;
    cbor_write_map(reply, 0);
    return SMP_OK;
}

static int bootloader(const struct smp_request *request, struct cbor_writer *reply) {
    static const struct cbor_key key = {"query", CBOR_TEXT};
    struct cbor_value query;
    if (!cbor_read_map(request->payload, request->length, &key, &query, 1)) {
        return SMP_INVALID;
    }
    if (query.present && (query.length != 4 || memcmp(query.data, "mode", 4) != 0)) {
        return OS_NO_ANSWER;
    }
    cbor_write_map(reply, query.present ? 2 : 1);
    smp_put_text(reply, "bootloader", "coffret");
    if (query.present) {
        smp_put_text(reply, "mode", smp_mode());
    }
    return SMP_OK;
}

int smp_os_command(struct smp_server *server, const struct smp_request *request,
                   struct cbor_writer *reply) {
    switch (request->command) {
    case OS_ECHO: // clients send it as a write; mcumgr takes either
        return echo(request, reply);
    case OS_RESET:
        return request->write ? reset(server, request, reply) : SMP_NOT_SUPPORTED;
    case OS_PARAMETERS:
        cbor_write_map(reply, 2);
        smp_put_uint(reply, "buf_size", SMP_BUFFER);
        smp_put_uint(reply, "buf_count", 1);
        return SMP_OK;
    case OS_BOOTLOADER:
        return bootloader(request, reply);
    default:
        return SMP_NOT_SUPPORTED;
    }
}
