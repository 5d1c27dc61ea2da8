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
#include "p256_generator.h"

// ---- products of a point ----

// Point k of the `count` points of `comb`; which one, neither time nor addresses tell.
static void choose_point(struct p256_point *chosen, const struct p256_point *comb, uint32_t count, uint32_t k) {
    for (uint32_t i = 0; i < count; i++) {
        uint32_t is_it = ((i ^ k) - 1u) >> 31;
        u256_cmov(chosen->x, comb[i].x, is_it);
        u256_cmov(chosen->y, comb[i].y, is_it);
    }
}

// (x, y) = s * P for s in [1, n-1], by a signed comb (Hamburg, "Fast and compact elliptic-curve cryptography", IACR ePrint
// 2012/309, section 3.3).
//
// An odd s is the sum of digits that are +1 or -1, digit i being +1 if bit i+1 of s + 2^256 is set; for an even one
// (n - s) * -P is taken. The digits stand in rows of `row` each, and a column of them is a point of the comb, or, if the
// last row's digit is -1, the negative of one: a doubling and an addition for each column. `comb` is made of P as
// p256_generator.h makes it of G; for a single row that is P alone, and this p256-m's ladder.
//
// point_add() cannot add what is equal or opposite. Before the last column, sum and difference of the two multiples are odd
// and below n in size, so not 0 modulo n. In the last one the two are not opposite, for s is not 0; they would be equal if
// an odd s were twice its last column modulo n, and none of the sixteen such numbers has that last column
// (tests/boot/test_crypto.py).
static void multiply(uint32_t x[8], uint32_t y[8], const struct p256_point *comb, uint32_t row, const uint32_t s[8]) {
    uint32_t odd[9], negative[8], z[8];
    struct p256_point point;
    uint32_t negate = ~s[0] & 1u;
    u256_sub(odd, p256_n.m, s);
    u256_cmov(odd, s, 1u - negate);
    odd[8] = 1u;
    for (uint32_t column = row; column > 0u; column--) {
        uint32_t k = 0, weight = 1u, digit = 0;
        for (uint32_t bit = column; bit <= 256u; bit += row) {
            digit = odd[bit / 32u] >> bit % 32u & 1u;
            k += digit * weight;
            weight <<= 1;
        }
        uint32_t count = weight >> 1;
        choose_point(&point, comb, count, (k ^ (digit - 1u)) & (count - 1u));
        u256_set32(negative, 0u);
        m256_sub_p(negative, negative, point.y);
        u256_cmov(point.y, negative, digit ^ 1u ^ negate);
        if (column == row) {
            memcpy(x, point.x, sizeof point.x);
            memcpy(y, point.y, sizeof point.y);
            m256_set32(z, 1u, &p256_p);
        } else {
            point_double(x, y, z);
            point_add(x, y, z, point.x, point.y);
        }
    }
    point_to_affine(x, y, z);
}

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
    uint32_t scalar[8];
    struct p256_point point;
    int error = scalar_from_bytes(scalar, private_key);
    if (error == 0) {
        multiply(point.x, point.y, p256_generator_comb, P256_COMB_ROW, scalar);
        point_to_bytes(public_key, point.x, point.y);
    }
    wipe(scalar, sizeof scalar);
    return error;
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
// public key is a point of the curve is not asked: it is one of boot's own, and the build looked (firmware/image/trust.py).
BOOT_STEP uint32_t p256_verify(const uint8_t public_key[P256_PUBLIC_SIZE], const uint8_t digest[SHA256_SIZE],
                               const uint8_t signature[P256_SIGNATURE_SIZE]) {
    uint32_t r[8], s[8], e[8], u1[8], u2[8];
    struct p256_point point;
    if (scalar_from_bytes(r, signature) != 0 || scalar_from_bytes(s, signature + 32) != 0) {
        return 0;
    }
    (void)m256_from_bytes(point.x, public_key, &p256_p);
    (void)m256_from_bytes(point.y, public_key + 32, &p256_p);
    number_from(e, digest);
    m256_prep(s, &p256_n);
    m256_inv(s, s, &p256_n);
    m256_mul(u1, e, s, &p256_n); // u1 = e / s, u2 = r / s
    m256_mul(u2, r, s, &p256_n);
    multiply(e, s, &point, 256u, u2); // (e, s) = u2 * Q
    if (u256_diff0(u1) == 0) {        // e is 0 mod n, and u1 * G the point at infinity, which multiply() cannot say
        u256_cmov(u1, e, 1);
    } else {
        multiply(point.x, point.y, p256_generator_comb, P256_COMB_ROW, u1);
        point_add_or_double_leaky(u1, u2, point.x, point.y, e, s); // its x is 0 for the point at infinity, and r is not
    }
    m256_done(u1, &p256_p);
    ecdsa_m256_mod_n(u1);
    uint8_t x[32];
    u256_to_bytes(x, u1);
    return memory_compare(x, signature, sizeof x);
}
