// SPDX-License-Identifier: Apache-2.0
// The reply to a nonce: a PSA attestation token (RFC 9783) in COSE_Sign1 (RFC 9052), and boot's certificate of the key
// that signed it. Made by whoever holds that key: the attester's task, or the Secure world where there is one.
#ifndef SERVICES_TOKEN_H
#define SERVICES_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "board_config.h"
#include "coffret/attest.h"
#include "coffret/boot_services.h"
#include "coffret/cbor.h"
#include "coffret/handoff.h"
#include "coffret/tables.h"

#ifdef BOARD_SECURE_WORLD
#define TOKEN_HAS_PAIRWISE 0            // boot makes the token there, and knows nothing of what is in an image
#define TOKEN_HAS_SETTINGS 1
#else
#include "image_config.h"
#define TOKEN_HAS_PAIRWISE COFFRET_HAS_PAIRWISE
#define TOKEN_HAS_SETTINGS COFFRET_HAS_SETTINGS
#endif

#define TOKEN_PIECE_SIZE 96u            // the longest single item: a text of 64, a nonce of 64, with their heads

enum token_pass { TOKEN_COUNT, TOKEN_HASH, TOKEN_SEND };

// The identity for one verifier.
struct token_pairwise {
    bool enrol;                             // an ordinary token, which names this key to the operator
    uint8_t verifier[32];
    uint8_t private_key[32];
    uint8_t public_key[64];
    uint8_t instance_id[33];                // of this key
};

struct token_maker {
    // What the token says: boot's measurements, and what the image it measured says of itself ([0] is the runtime).
    const struct handoff *facts;
    const struct component *components;
    uint32_t component_count;
    const char *appliance_version;
    const struct attest_state *state;
    // How it is said. Both are called below token_make, on its stack.
    const struct boot_services *services;   // SHA-256 and, with the key of `facts`, the signature
    bool (*send)(const void *data, size_t length);
    const struct token_pairwise *pairwise;  // NULL: an ordinary token

    // token_make's own.
    const uint8_t *nonce;
    size_t nonce_length;
    uint8_t piece[TOKEN_PIECE_SIZE];
    struct cbor_writer writer;              // over `piece`
    enum token_pass pass;
    uint32_t counted;                       // bytes since the pass began
    bool failed;
};

// Sends the reply: length of the token and of the certificate, each u16 little endian, then both. False: there is no
// evidence, whatever was sent before. `nonce` has 32, 48 or 64 bytes.
bool token_make(struct token_maker *maker, const uint8_t *nonce, size_t nonce_length);

#endif
