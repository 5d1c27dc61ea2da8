// SPDX-License-Identifier: Apache-2.0
// ECDSA over P-256 by p256-m, made deterministic (RFC 6979) through its source of random bytes. p256-m is compiled as a
// part of this file: its verification ends in one branch, and ours must not (p256_verify below).
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#include "p256-m.c"
#pragma GCC diagnostic pop

#include <stdbool.h>
#include <string.h>

#include "coffret/crypto.h"
#include "coffret/section.h"
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

// bits2octets (RFC 6979 section 2.3.4): the digest, less n if it is not below n.
static void reduce(uint8_t reduced[32], const uint8_t digest[32]) {
    uint32_t number[8];
    u256_from_bytes(number, digest);
    ecdsa_m256_mod_n(number);
    u256_to_bytes(reduced, number);
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

// SEC 1 section 4.1.4, step by step as p256_ecdsa_verify() does it and with the same arithmetic, but for the end: the
// comparison of R's x with r is a word that the caller can carry on, so no single skipped instruction accepts. Whether the
// public key is a point of the curve is not asked: it is one of boot's own, and the build looked (firmware/trust.py).
BOOT_STEP uint32_t p256_verify(const uint8_t public_key[P256_PUBLIC_SIZE], const uint8_t digest[SHA256_SIZE],
                               const uint8_t signature[P256_SIGNATURE_SIZE]) {
    uint32_t r[8], s[8], e[8], u1[8], u2[8], px[8], py[8];
    if (scalar_from_bytes(r, signature) != 0 || scalar_from_bytes(s, signature + 32) != 0 ||
        m256_from_bytes(px, public_key, &p256_p) != 0 || m256_from_bytes(py, public_key + 32, &p256_p) != 0) {
        return 0;
    }
    ecdsa_m256_from_hash(e, digest, SHA256_SIZE);
    m256_prep(s, &p256_n);
    m256_inv(s, s, &p256_n);
    m256_mul(u1, e, s, &p256_n); // u1 = e / s, u2 = r / s
    m256_done(u1, &p256_n);
    m256_prep(r, &p256_n);
    m256_mul(u2, r, s, &p256_n);
    m256_done(u2, &p256_n);
    scalar_mult(e, s, px, py, u2); // (e, s) = u2 * Q
    if (u256_diff0(u1) == 0) {     // e is 0 mod n, and u1 * G the point at infinity, which scalar_mult() cannot say
        u256_cmov(u1, e, 1);
    } else {
        scalar_mult(px, py, p256_gx, p256_gy, u1);
        point_add_or_double_leaky(u1, u2, px, py, e, s); // its x is 0 for the point at infinity, and r is not
    }
    m256_done(u1, &p256_p);
    ecdsa_m256_mod_n(u1);
    uint8_t x[32];
    u256_to_bytes(x, u1);
    return memory_compare(x, signature, sizeof x);
}
