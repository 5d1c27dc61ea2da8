// SPDX-License-Identifier: Apache-2.0
// SMP group 65, provisioning: what recovery and manager both answer. The rest is the manager's.
#include "smp/backend.h"
#include "smp/server.h"

enum provisioning_command { PROVISIONING_IDENTITY = 0, PROVISIONING_REFUSAL = 2 };

int smp_provisioning_command(struct smp_server *server, const struct smp_request *request,
                                struct cbor_writer *reply) {
    if (request->command == PROVISIONING_IDENTITY && !request->write) {
        struct identity identity;
        smp_identity(&identity);
        cbor_write_map(reply, 5);
        smp_put_bytes(reply, "id", identity.instance_id, sizeof identity.instance_id);
        smp_put_bytes(reply, "key", identity.key, sizeof identity.key);
        smp_put_bytes(reply, "impl", identity.implementation_id, sizeof identity.implementation_id);
        smp_put_uint(reply, "lifecycle", identity.lifecycle);
        smp_put_bytes(reply, "boot", identity.boot_digest, sizeof identity.boot_digest);
        return SMP_OK;
    }
    if (request->command == PROVISIONING_REFUSAL && !request->write) {
        cbor_write_map(reply, 2);
        smp_put_uint(reply, "slot", server->refused_slot);
        smp_put_uint(reply, "reason", server->refused_reason);
        return SMP_OK;
    }
    return smp_user_command(server, request, reply);
}
