// SPDX-License-Identifier: Apache-2.0
// What the attester asks of whoever holds the attestation key: itself (services/attest_local.c), or the Secure world
// (boards/cores/armv8m/core_gateways.c).
#ifndef COFFRET_ATTEST_H
#define COFFRET_ATTEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "coffret/tables.h"

#define ATTEST_ENCLAVES 16u     // more of them make a token longer than the manager's buffer (firmware/planning/fit.py)
#define ATTEST_GATES 16u        // the most gates of an appliance (firmware/planning/fit.py)

struct attest_counts {
    uint32_t faults;
    uint32_t restarts;
};

struct attest_gate {
    uint32_t number;            // in the flow policy's order
    uint32_t used;              // messages in this window
    uint32_t left_s;            // of this window
};

// How the system is at this moment, taken once for each token: what is signed must be what is sent. The image's word, as
// all of the token; boot's word is the certificate.
struct attest_state {
    uint32_t uptime_s;
    uint32_t log_first;         // sequence numbers: the digest is over the entries from the first to before the next
    uint32_t log_next;
    uint8_t log_digest[32];
    uint32_t enclaves;
    struct attest_counts counts[ATTEST_ENCLAVES];   // in the manifest's order
    // Of one enclave, when it was asked for.
    uint32_t subject;           // 1 + its number; 0: none
    struct label secrecy, integrity;
    struct mpu_region grants[TASK_GRANTS];
    uint32_t gates;
    struct attest_gate gate[ATTEST_GATES];
    // Of the board's settings, as it keeps them, in an image where an enclave reads them.
    uint32_t has_settings;      // 0: nothing is said of settings
    uint8_t settings_digest[32];
};

// The reply to `nonce` (32, 48 or 64 bytes), in pieces to `send`, which returns false to give up: length of the token and
// of the certificate, each u16 little endian, token, certificate. False: there is no evidence, whatever was sent.
bool attest_answer(const uint8_t *nonce, size_t nonce_length, const struct attest_state *state,
                   bool (*send)(const void *data, size_t length));

// The same for one verifier, of a nonce of 32 bytes: a token of the key for it, with no certificate, or, to `enrol`, the
// ordinary one, which names that key. Only in an image with pairwise identities, where there is no Secure world.
bool attest_answer_pairwise(const uint8_t nonce[32], const uint8_t verifier[32], bool enrol,
                            const struct attest_state *state, bool (*send)(const void *data, size_t length));

#endif
