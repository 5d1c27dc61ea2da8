// SPDX-License-Identifier: Apache-2.0
// The server as a program that the sanitizers watch: its port is standard input, a socket. Boot's services are
// stand-ins.
#include <string.h>

#include "coffret/boot_services.h"
#include "coffret/handoff.h"
#include "coffret/syscall.h"
#include "simulated_hardware.h"

int simulated_map(void);
int simulated_run(int port, const struct boot_services *services, const struct identity *identity);

// No hash: enough to be deterministic.
static void simulated_init(struct sha256_context *context) { memset(context, 0, sizeof *context); }
static void simulated_update(struct sha256_context *context, const uint8_t *data, size_t length) {
    while (length-- > 0) {
        context->opaque[0] = context->opaque[0] * 31u + *data++;
    }
}
static void simulated_finish(struct sha256_context *context, uint8_t digest[32]) {
    memset(digest, 0, 32);
    memcpy(digest, context->opaque, 4);
}
static int simulated_check(uint32_t slot, const struct image_limits *limits, struct image_info *info) {
    memset(info, (int)limits->minimum_counter, sizeof *info);
    return slot == 0 ? 0 : 8;
}

int main(void) {
    static const struct boot_services services = {BOOT_SERVICES_MAGIC, BOOT_SERVICES_VERSION, simulated_init,
                                                  simulated_update, simulated_finish, NULL, simulated_check, NULL};
    static const struct identity identity;
    if (simulated_map() != 0) {
        return 2;
    }
    while (simulated_run(0, &services, &identity) == SIMULATED_RESET) {
    }
    return 0;
}
