// SPDX-License-Identifier: Apache-2.0
// SMP group 65, provisioning: what recovery and manager both answer. The rest is the manager's.
#include "smp/backend.h"
#include "smp/server.h"

int smp_identity(struct smp_server *server, const struct cbor_value *given, struct cbor_writer *reply) {
    (void)server;
    (void)given;
    const struct identity *facts = smp_identity_facts();
    cbor_write_map(reply, 5);
    smp_put_bytes(reply, "id", facts->instance_id, sizeof facts->instance_id);
    smp_put_bytes(reply, "key", facts->key, sizeof facts->key);
    smp_put_bytes(reply, "impl", facts->implementation_id, sizeof facts->implementation_id);
    smp_put_uint(reply, "lifecycle", facts->lifecycle);
    smp_put_bytes(reply, "boot", facts->boot_digest, sizeof facts->boot_digest);
    return SMP_OK;
}

int smp_refusal(struct smp_server *server, const struct cbor_value *given, struct cbor_writer *reply) {
    (void)given;
    uint8_t reason = server->refused_reason;
    if (server->refused_slot == BOOT_SLOT_NONE) { // nothing was refused here: what boot had against an image
        struct boot_state state;
        smp_boot_state(&state);
        reason = state.reason;
    }
    cbor_write_map(reply, 2);
    smp_put_uint(reply, "slot", server->refused_slot);
    smp_put_uint(reply, "reason", reason);
    return SMP_OK;
}
