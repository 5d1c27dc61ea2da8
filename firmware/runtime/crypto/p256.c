// SPDX-License-Identifier: Apache-2.0
// ECDSA over P-256 with the arithmetic of p256-m, which is compiled as a part of this file: its verification ends in one
// branch, and ours must not (p256_verify below); and it draws random numbers, where ours are made as RFC 6979 says.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#include "p256-m.c"
#pragma GCC diagnostic pop

#include <stdbool.h>
#include <string.h>

#include "coffret/crypto.h"
#include "coffret/section.h"

// HMAC_DRBG as RFC 6979 section 3.2 runs it, with SHA-256 and a 256-bit order.
struct generator {
    uint8_t k[SHA256_SIZE];
    uint8_t v[SHA256_SIZE];
};

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
    update(state, 0u, one, 32u, two);
    update(state, 1u, one, 32u, two);
}

// Step h: the first candidate in [1, n-1], as bytes and as a number. The first is refused once in 2^32, so four tries are
// as good as any number.
static int draw(struct generator *state, uint8_t scalar[32], uint32_t number[8]) {
    int error = -1;
    for (int tries = 0; error != 0 && tries < 4; tries++) {
        if (tries != 0) {
            update(state, 0u, NULL, 0u, NULL);
        }
        mac_v(state);
        memcpy(scalar, state->v, sizeof state->v);
        error = scalar_from_bytes(number, scalar);
    }
    return error;
}

int p256_private_from_seed(const uint8_t seed_bytes[32], uint8_t private_key[P256_PRIVATE_SIZE]) {
    struct {
        struct generator generator;
        uint32_t number[8];
    } secret;
    seed(&secret.generator, seed_bytes, NULL);
    int error = draw(&secret.generator, private_key, secret.number);
    wipe(&secret, sizeof secret);
    return error;
}

int p256_public_from(const uint8_t private_key[P256_PRIVATE_SIZE], uint8_t public_key[P256_PUBLIC_SIZE]) {
    return p256_public_from_private(public_key, private_key);
}

// A number of 32 bytes, less n if it is not below n: what RFC 6979 section 2.3.4 and SEC 1 make of a digest.
static void number_from(uint32_t number[8], const uint8_t bytes[32]) {
    u256_from_bytes(number, bytes);
    ecdsa_m256_mod_n(number);
}

// SEC 1 section 4.1.3. A product of one number in Montgomery's form and one that is not in it is not in it either.
int p256_sign(const uint8_t private_key[P256_PRIVATE_SIZE], const uint8_t digest[SHA256_SIZE],
              uint8_t signature[P256_SIGNATURE_SIZE]) {
    struct {
        struct generator generator;
        uint8_t scalar[32];
        uint32_t k[8];
        uint32_t d[8];
    } secret;
    uint32_t e[8], r[8], s[8];
    number_from(e, digest);
    u256_to_bytes(secret.scalar, e);
    seed(&secret.generator, private_key, secret.scalar);
    int error = draw(&secret.generator, secret.scalar, secret.k) | scalar_from_bytes(secret.d, private_key);
    if (error == 0) {
        error = p256_public_from(secret.scalar, signature); // R = k * G
    }
    if (error == 0) {
        number_from(r, signature);
        u256_to_bytes(signature, r);
        m256_prep(secret.k, &p256_n);
        m256_inv(secret.k, secret.k, &p256_n);
        m256_prep(secret.d, &p256_n);
        m256_mul(s, r, secret.d, &p256_n);
        m256_add(s, s, e, &p256_n);
        m256_mul(s, s, secret.k, &p256_n); // (e + r * d) / k
        u256_to_bytes(signature + 32, s);
        error = u256_diff0(r) == 0u || u256_diff0(s) == 0u ? -1 : 0; // nobody has seen either
    }
    wipe(&secret, sizeof secret);
    return error;
}

// SEC 1 section 4.1.4, step by step as p256_ecdsa_verify() does it and with the same arithmetic, but for the end: the
// comparison of R's x with r is a word that the caller can carry on, so no single skipped instruction accepts. Whether the
// public key is a point of the curve is not asked: it is one of boot's own, and the build looked (firmware/trust.py).
BOOT_STEP uint32_t p256_verify(const uint8_t public_key[P256_PUBLIC_SIZE], const uint8_t digest[SHA256_SIZE],
                               const uint8_t signature[P256_SIGNATURE_SIZE]) {
    uint32_t r[8], s[8], e[8], u1[8], u2[8], px[8], py[8];
    if (scalar_from_bytes(r, signature) != 0 || scalar_from_bytes(s, signature + 32) != 0) {
        return 0;
    }
    (void)m256_from_bytes(px, public_key, &p256_p);
    (void)m256_from_bytes(py, public_key + 32, &p256_p);
    number_from(e, digest);
    m256_prep(s, &p256_n);
    m256_inv(s, s, &p256_n);
    m256_mul(u1, e, s, &p256_n); // u1 = e / s, u2 = r / s
    m256_mul(u2, r, s, &p256_n);
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
