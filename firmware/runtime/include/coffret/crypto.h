// SPDX-License-Identifier: Apache-2.0
// The cryptography of the board: mbedTLS' SHA-256 and p256-m, and what RFC 2104, 5869 and 6979 compose from them.
// Linked into boot only; the image calls it through coffret/boot_services.h. No statics, no allocation.
#ifndef COFFRET_CRYPTO_H
#define COFFRET_CRYPTO_H

#include <stddef.h>
#include <stdint.h>

#include "coffret/boot_services.h" // struct sha256_context

#define SHA256_SIZE 32u
#define P256_PRIVATE_SIZE 32u
#define P256_PUBLIC_SIZE 64u    // X || Y, big endian
#define P256_SIGNATURE_SIZE 64u // r || s, big endian

// ---- SHA-256 (FIPS 180-4) ----
void sha256_init(struct sha256_context *context);
void sha256_update(struct sha256_context *context, const uint8_t *data, size_t length);
void sha256_finish(struct sha256_context *context, uint8_t digest[SHA256_SIZE]);
void sha256(const void *data, size_t length, uint8_t digest[SHA256_SIZE]);

// ---- HMAC-SHA-256 (RFC 2104) ----
struct hmac_context {
    struct sha256_context hash;
    uint8_t outer[64]; // the key, padded, for the outer hash
};
void hmac_init(struct hmac_context *context, const uint8_t *key, size_t length);
void hmac_update(struct hmac_context *context, const void *data, size_t length);
void hmac_finish(struct hmac_context *context, uint8_t mac[SHA256_SIZE]);

// HKDF-SHA-256, extract and expand (RFC 5869). `length` is at most 32: one block, all that DICE asks for.
// `info` is text, its NUL not included.
void hkdf(uint8_t *output, size_t length, const uint8_t *key, size_t key_length, const uint8_t *salt,
          size_t salt_length, const char *info);

// ---- P-256 (SEC 1, FIPS 186-5) ----
// All but p256_verify return 0 on success.

// The private key that RFC 6979 section 3.2 steps b to h draw from a 32-byte seed. Cheap.
int p256_private_from_seed(const uint8_t seed[32], uint8_t private_key[P256_PRIVATE_SIZE]);
// Some 9 million instructions on Cortex-M3; a signature takes 11, its check 41.
int p256_public_from(const uint8_t private_key[P256_PRIVATE_SIZE], uint8_t public_key[P256_PUBLIC_SIZE]);
// Deterministic ECDSA (RFC 6979) with SHA-256 over a digest.
int p256_sign(const uint8_t private_key[P256_PRIVATE_SIZE], const uint8_t digest[SHA256_SIZE],
              uint8_t signature[P256_SIGNATURE_SIZE]);
// MEMORY_EQUAL if the signature is good, any other word if not (see memory_compare).
uint32_t p256_verify(const uint8_t public_key[P256_PUBLIC_SIZE], const uint8_t digest[SHA256_SIZE],
                     const uint8_t signature[P256_SIGNATURE_SIZE]);
// An ECDSA signature from DER (RFC 3279 section 2.2.3) to r || s. Strict: shortest form, above zero, nothing behind
// it; whether r and s are below n is for p256_verify. Returns 0, or -1 and `signature` is not to be used.
int p256_signature_from_der(const uint8_t *der, size_t length, uint8_t signature[P256_SIGNATURE_SIZE]);

// ---- LMS_SHA256_M32_H10 with LMOTS_SHA256_N32_W8 (RFC 8554); only with BOOT_POST_QUANTUM ----
#define LMS_PUBLIC_SIZE 56u      // RFC 8554 section 5.3
#define LMS_SIGNATURE_SIZE 1452u // section 5.4
// MEMORY_EQUAL if the signature over the digest is good, any other word if not.
uint32_t lms_verify(const uint8_t public_key[LMS_PUBLIC_SIZE], const uint8_t digest[SHA256_SIZE],
                    const uint8_t signature[LMS_SIGNATURE_SIZE]);

// ---- memory ----

// Zeroes memory; never optimised away.
void wipe(void *data, size_t length);

// Whether two byte strings are equal, in time that does not depend on where they differ: MEMORY_EQUAL, or any other
// word; of no bytes, another word. The answer is computed, not branched to, so that one skipped instruction does not turn
// a difference into it.
#define MEMORY_EQUAL 0x5AA5C33Cu
uint32_t memory_compare(const void *a, const void *b, size_t length);
// MEMORY_EQUAL if value >= minimum, made in the same way.
uint32_t at_least(uint32_t value, uint32_t minimum);

#endif
