// SPDX-License-Identifier: Apache-2.0
// SMP group 0, os: echo, reset, parameters, bootloader information (Zephyr documentation, "SMP group 0").
#include <string.h>

#include "smp/backend.h"
#include "smp/server.h"

int smp_os_echo(struct smp_server *server, const struct cbor_value *given, struct cbor_writer *reply) {
    (void)server;
    if (!given->present) {
        return SMP_INVALID;
    }
    cbor_write_map(reply, 1);
    cbor_write_text(reply, "r");
    cbor_write_text_length(reply, (const char *)given->data, given->length);
    return SMP_OK;
}

int smp_os_reset(struct smp_server *server, const struct cbor_value *given, struct cbor_writer *reply) {
    uint32_t mode = given->present ? given->value : 0;
    if (mode > 1) {
        return SMP_INVALID;
    }
    server->reset = true;
    server->reset_to_recovery = mode == 1;
    cbor_write_map(reply, 0);
    return SMP_OK;
}

int smp_os_parameters(struct smp_server *server, const struct cbor_value *given, struct cbor_writer *reply) {
    (void)server;
    (void)given;
    cbor_write_map(reply, 2);
    smp_put_uint(reply, "buf_size", SMP_BUFFER);
    smp_put_uint(reply, "buf_count", 1);
    return SMP_OK;
}

int smp_os_bootloader(struct smp_server *server, const struct cbor_value *given, struct cbor_writer *reply) {
    (void)server;
    cbor_write_map(reply, 1u + given->present);
    smp_put_text(reply, "bootloader", "coffret");
    if (given->present) {
        if (given->length != 4u || memcmp(given->data, "mode", 4u) != 0) {
            return OS_NO_ANSWER;
        }
        smp_put_text(reply, "mode", smp_mode());
    }
    return SMP_OK;
}
