// SPDX-License-Identifier: Apache-2.0
// Where there is no Secure world the attester itself holds the key: boot left it in the handoff, in the attester's memory.
#include <string.h>

#include "coffret/attest.h"
#include "coffret/boot_access.h"
#include "image_config.h"
#include "services/token.h"

extern const struct handoff __handoff;

#define ATTESTER_BSS __attribute__((section(".attester.bss")))

ATTESTER_BSS static struct token_maker maker;

static void prepare(const struct attest_state *state, bool (*send)(const void *data, size_t length)) {
    maker.facts = &__handoff;
    maker.components = coffret_components;
    maker.component_count = coffret_counts.components;
    maker.appliance_version = coffret_appliance_version;
    maker.state = state;
    maker.services = boot_services();
    maker.send = send;
    if (TOKEN_HAS_PAIRWISE) {
        maker.pairwise = NULL;
    }
}

bool attest_answer(const uint8_t *nonce, size_t nonce_length, const struct attest_state *state,
                   bool (*send)(const void *data, size_t length)) {
    prepare(state, send);
    return token_make(&maker, nonce, nonce_length);
}

#if COFFRET_HAS_PAIRWISE
ATTESTER_BSS static struct token_pairwise pairwise;

// The key: of the attestation key, so of this device with this image, and of the verifier's id. The same each time. Its
// candidates are blocks of the one-step derivation with SHA-256 (SP 800-56C revision 2, section 4.1), of which the first
// in range is taken (FIPS 186-5, appendix A.2.2): all but always the first.
#define CANDIDATES 4u

static bool derive_key(const uint8_t verifier[32]) {
    static const uint8_t info[] = "coffret pairwise";
    const struct boot_services *services = maker.services;
    for (uint8_t number = 1; number <= CANDIDATES; number++) {
        const uint8_t counter[4] = {0, 0, 0, number};
        struct sha256_context hash;
        services->sha256_init(&hash);
        services->sha256_update(&hash, counter, sizeof counter);
        services->sha256_update(&hash, __handoff.alias_private, sizeof __handoff.alias_private);
        services->sha256_update(&hash, info, sizeof info - 1u);
        services->sha256_update(&hash, verifier, sizeof pairwise.verifier);
        services->sha256_finish(&hash, pairwise.private_key);
        if (services->p256_public_from(pairwise.private_key, pairwise.public_key) == 0) {
            return true;
        }
    }
    return false;
}

// As that of the device: a UEID of type 1 (RFC 9711 section 4.2.1), then SHA-256 of the uncompressed point.
static void name_instance(void) {
    struct sha256_context hash;
    maker.services->sha256_init(&hash);
    maker.services->sha256_update(&hash, (const uint8_t *)"\x04", 1u);
    maker.services->sha256_update(&hash, pairwise.public_key, sizeof pairwise.public_key);
    maker.services->sha256_finish(&hash, pairwise.instance_id + 1);
    pairwise.instance_id[0] = 1u;
}

bool attest_answer_pairwise(const uint8_t nonce[32], const uint8_t verifier[32], bool enrol,
                            const struct attest_state *state, bool (*send)(const void *data, size_t length)) {
    prepare(state, send);
    if (__handoff.magic != HANDOFF_MAGIC || maker.services->magic != BOOT_SERVICES_MAGIC ||
        maker.services->version < 3u || !derive_key(verifier)) {
        return false; // version: a boot that is older than this image has no such services
    }
    name_instance();
    memcpy(pairwise.verifier, verifier, sizeof pairwise.verifier);
    pairwise.enrol = enrol;
    maker.pairwise = &pairwise;
    return token_make(&maker, nonce, 32u);
}
#endif
