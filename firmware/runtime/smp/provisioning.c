// SPDX-License-Identifier: Apache-2.0
// SMP group 65, provisioning: what recovery and manager both answer. The rest is the manager's.
#include "smp/backend.h"
#include "smp/server.h"

int smp_identity(struct smp_server *server, const struct cbor_value *given, struct cbor_writer *reply) {
    (void)server;
    (void)given;
#define FACT(name, member) {name, offsetof(struct identity, member), sizeof(((struct identity *)0)->member)}
    static const struct {
        char name[5];
        uint8_t offset, size;
    } known[] = {FACT("id", instance_id), FACT("key", key), FACT("impl", implementation_id), FACT("boot", boot_digest)};
    const uint32_t count = sizeof known / sizeof known[0];
    const struct identity *facts = smp_identity_facts();
    cbor_write_map(reply, count + 1u);
    for (uint32_t i = 0; i < count; i++) {
        smp_put_bytes(reply, known[i].name, (const uint8_t *)facts + known[i].offset, known[i].size);
    }
    smp_put_uint(reply, "lifecycle", facts->lifecycle);
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
