// SPDX-License-Identifier: Apache-2.0
// Where there is no Secure world the attester itself holds the key: boot left it in the handoff, in the attester's memory.
#include "coffret/attest.h"
#include "coffret/boot_access.h"
#include "services/token.h"

extern const struct handoff __handoff;

static struct token_maker maker __attribute__((section(".attester.bss")));

bool attest_answer(const uint8_t *nonce, size_t nonce_length, const struct attest_state *state,
                   bool (*send)(const void *data, size_t length)) {
    maker.facts = &__handoff;
    maker.components = coffret_components;
    maker.component_count = coffret_counts.components;
    maker.appliance_version = coffret_appliance_version;
    maker.state = state;
    maker.services = boot_services();
    maker.send = send;
    return token_make(&maker, nonce, nonce_length);
}
