// SPDX-License-Identifier: Apache-2.0
// SHA-256 by mbedTLS; HMAC and HKDF composed from it. mbedTLS' own `md.c` and `hkdf.c` are left out on purpose: `md`
// dispatches over algorithms and takes its contexts from the heap, of which there is none, and what it would save
// is the dozen lines below.
#include <string.h>

#include "coffret/crypto.h"
#include "mbedtls/sha256.h"

_Static_assert(sizeof(mbedtls_sha256_context) <= sizeof(struct sha256_context), "the public context has room");
_Static_assert(_Alignof(mbedtls_sha256_context) <= _Alignof(struct sha256_context), "and is aligned");

static mbedtls_sha256_context *inner(struct sha256_context *context) { return (mbedtls_sha256_context *)context; }

void sha256_init(struct sha256_context *context) {
    mbedtls_sha256_init(inner(context));
    // It fails only for another hash than 224 or 256; that is no outcome here, nor below without hardware.
    (void)mbedtls_sha256_starts(inner(context), 0);
}

void sha256_update(struct sha256_context *context, const uint8_t *data, size_t length) {
    (void)mbedtls_sha256_update(inner(context), data, length);
}

void sha256_finish(struct sha256_context *context, uint8_t digest[SHA256_SIZE]) {
    (void)mbedtls_sha256_finish(inner(context), digest);
    wipe(context, sizeof *context);
}

void sha256(const void *data, size_t length, uint8_t digest[SHA256_SIZE]) {
    struct sha256_context context;
    sha256_init(&context);
    sha256_update(&context, data, length);
    sha256_finish(&context, digest);
}

static void absorb_key(struct hmac_context *context, uint8_t pad) {
    for (size_t i = 0; i < sizeof context->outer; i++) {
        context->outer[i] ^= pad;
    }
    sha256_init(&context->hash);
    sha256_update(&context->hash, context->outer, sizeof context->outer);
}

void hmac_init(struct hmac_context *context, const uint8_t *key, size_t length) {
    memset(context->outer, 0, sizeof context->outer);
    if (length > sizeof context->outer) {
        sha256(key, length, context->outer);
    } else {
        memcpy(context->outer, key, length);
    }
    absorb_key(context, 0x36u);
}

void hmac_update(struct hmac_context *context, const void *data, size_t length) {
    sha256_update(&context->hash, data, length);
}

void hmac_finish(struct hmac_context *context, uint8_t mac[SHA256_SIZE]) {
    uint8_t digest[SHA256_SIZE];
    sha256_finish(&context->hash, digest);
    absorb_key(context, 0x36u ^ 0x5Cu);
    sha256_update(&context->hash, digest, sizeof digest);
    sha256_finish(&context->hash, mac);
    wipe(context, sizeof *context);
}

void hkdf(uint8_t *output, size_t length, const uint8_t *key, size_t key_length, const uint8_t *salt,
          size_t salt_length, const char *info) {
    struct hmac_context context;
    uint8_t block[SHA256_SIZE];
    hmac_init(&context, salt, salt_length); // extract
    hmac_update(&context, key, key_length);
    hmac_finish(&context, block);
    hmac_init(&context, block, sizeof block); // expand, T(1)
    hmac_update(&context, info, strlen(info));
    hmac_update(&context, "\1", 1u);
    hmac_finish(&context, block);
    memcpy(output, block, length);
    wipe(block, sizeof block);
}
