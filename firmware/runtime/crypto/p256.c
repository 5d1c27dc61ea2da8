// SPDX-License-Identifier: Apache-2.0
// ECDSA over P-256 by p256-m, made deterministic (RFC 6979) through its source of random bytes.
#include "p256-m.h"

#include <stdbool.h>
#include <string.h>

#include "coffret/crypto.h"
#include "psa/crypto.h"

// HMAC_DRBG as RFC 6979 section 3.2 runs it, with SHA-256 and a 256-bit order.
struct generator {
    uint8_t k[SHA256_SIZE];
    uint8_t v[SHA256_SIZE];
    bool drawn; // a candidate was drawn and refused: step h.3 comes before the next
};

// p256-m's hook takes no context, boot has no statics for its callers to share, and a service that signs runs in its
// own memory. So the generator lies on the caller's stack, and the register that the AAPCS sets aside for the
// platform points to it; boot and p256-m are compiled with -ffixed-r9 so that nothing else uses it meanwhile.
#ifdef COFFRET_HOST
static struct generator *host_generator;
static struct generator *generator(void) { return host_generator; }
static void use_generator(struct generator *state) { host_generator = state; }
#else
static struct generator *generator(void) {
    struct generator *state;
    __asm__ volatile("mov %0, r9" : "=r"(state));
    return state;
}
static void use_generator(struct generator *state) { __asm__ volatile("mov r9, %0" ::"r"(state)); }
#endif

static void mac_v(struct generator *state) {
    struct hmac_context hmac;
    hmac_init(&hmac, state->k, sizeof state->k);
    hmac_update(&hmac, state->v, sizeof state->v);
    hmac_finish(&hmac, state->v);
}

// K = HMAC_K(V || tag || data), V = HMAC_K(V): steps d, e; f, g; and h.3 without data.
static void update(struct generator *state, uint8_t tag, const uint8_t *one, size_t one_length, const uint8_t *two) {
    struct hmac_context hmac;
    hmac_init(&hmac, state->k, sizeof state->k);
    hmac_update(&hmac, state->v, sizeof state->v);
    hmac_update(&hmac, &tag, 1u);
    hmac_update(&hmac, one, one_length);
    hmac_update(&hmac, two, two != NULL ? 32u : 0u);
    hmac_finish(&hmac, state->k);
    mac_v(state);
}

// Steps b to g.
static void seed(struct generator *state, const uint8_t one[32], const uint8_t *two) {
    memset(state->v, 1, sizeof state->v);
    memset(state->k, 0, sizeof state->k);
    state->drawn = false;
    update(state, 0u, one, 32u, two);
    update(state, 1u, one, 32u, two);
}

// Step h.
static void draw(struct generator *state, uint8_t candidate[32]) {
    if (state->drawn) {
        update(state, 0u, NULL, 0u, NULL);
    }
    mac_v(state);
    memcpy(candidate, state->v, sizeof state->v);
    state->drawn = true;
}

// p256-m asks for 32 bytes, and again when they are not in [1, n-1] (four times at most; the first is refused once
// in 2^32).
int psa_generate_random(uint8_t *output, size_t output_size) {
    struct generator *state = generator();
    if (state == NULL || output_size != 32u) {
        return -1;
    }
    draw(state, output);
    return 0;
}

int p256_private_from_seed(const uint8_t seed_bytes[32], uint8_t private_key[P256_PRIVATE_SIZE]) {
    struct generator state;
    seed(&state, seed_bytes, NULL);
    int error = -1;
    for (int tries = 0; error != 0 && tries < 4; tries++) {
        draw(&state, private_key);
        error = p256_validate_privkey(private_key);
    }
    wipe(&state, sizeof state);
    return error;
}

int p256_public_from(const uint8_t private_key[P256_PRIVATE_SIZE], uint8_t public_key[P256_PUBLIC_SIZE]) {
    return p256_public_from_private(public_key, private_key);
}

// The order n of the group, big endian (SEC 2 section 2.4.2).
static const uint8_t order[32] = {0xFF, 0xFF, 0xFF, 0xFF, 0x00, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xFF,
                                  0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xBC, 0xE6, 0xFA, 0xAD, 0xA7, 0x17,
                                  0x9E, 0x84, 0xF3, 0xB9, 0xCA, 0xC2, 0xFC, 0x63, 0x25, 0x51};

// bits2octets (RFC 6979 section 2.3.4): the digest, less n if it is not below n. The digest is public.
static void reduce(uint8_t reduced[32], const uint8_t digest[32]) {
    uint32_t borrow = 0;
    for (size_t i = 32; i-- > 0u;) {
        uint32_t difference = (uint32_t)digest[i] - order[i] - borrow;
        reduced[i] = (uint8_t)difference;
        borrow = difference >> 31;
    }
    if (borrow != 0u) {
        memcpy(reduced, digest, 32u);
    }
}

int p256_sign(const uint8_t private_key[P256_PRIVATE_SIZE], const uint8_t digest[SHA256_SIZE],
              uint8_t signature[P256_SIGNATURE_SIZE]) {
    struct generator state;
    uint8_t reduced[32];
    reduce(reduced, digest);
    seed(&state, private_key, reduced);
    struct generator *before = generator(); // the caller's r9, kept for it
    use_generator(&state);
    int error = p256_ecdsa_sign(signature, private_key, digest, SHA256_SIZE);
    use_generator(before);
    wipe(&state, sizeof state);
    return error;
}

int p256_verify(const uint8_t public_key[P256_PUBLIC_SIZE], const uint8_t digest[SHA256_SIZE],
                const uint8_t signature[P256_SIGNATURE_SIZE]) {
    return p256_ecdsa_verify(signature, public_key, digest, SHA256_SIZE);
}
