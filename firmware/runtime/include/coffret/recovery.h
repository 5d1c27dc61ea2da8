// SPDX-License-Identifier: Apache-2.0
// Serial recovery: boot's SMP server on the management port, polled. boot calls it when no slot boots, or on request.
#ifndef COFFRET_RECOVERY_H
#define COFFRET_RECOVERY_H

#include "coffret/boot_services.h"
#include "coffret/handoff.h"
#include "coffret/store.h"

struct recovery_facts {
    struct store *store;                    // opened
    const struct boot_services *services;   // boot's own functions (the structure at BOOT_SERVICES_OFFSET)
    const struct identity *identity;        // what 65/0 answers
};

// Serves until the host asks for a reset; never returns. Every secret must be wiped before the call: nothing
// here needs one. board_init() has been called.
__attribute__((noreturn)) void recovery_run(const struct recovery_facts *facts);

#endif
