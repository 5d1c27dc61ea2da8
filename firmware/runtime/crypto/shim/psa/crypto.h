// SPDX-License-Identifier: Apache-2.0
// In the place of mbedTLS' own header: p256-m asks it only for its source of random bytes. coffret has none, and calls
// nothing of p256-m that wants one (p256.c). LMS asks it for SHA-256, which is mbedTLS' own again (sha256.c).
#ifndef COFFRET_PSA_CRYPTO_H
#define COFFRET_PSA_CRYPTO_H

#include <stddef.h>
#include <stdint.h>

#include "mbedtls/build_info.h" // p256-m looks for its switch there

static inline int psa_generate_random(uint8_t *output, size_t output_size) {
    (void)output;
    (void)output_size;
    return -1;
}

#ifdef BOOT_POST_QUANTUM

#include "coffret/crypto.h"

typedef int32_t psa_status_t;
typedef struct sha256_context psa_hash_operation_t;

#define PSA_SUCCESS 0
#define PSA_ERROR_CORRUPTION_DETECTED (-151) // PSA Crypto API 1.1, section 3.3
#define PSA_ALG_SHA_256 0x02000009u          // section 10.2
#define PSA_HASH_OPERATION_INIT {0}
// Nothing below fails.
#define psa_status_to_mbedtls(status, errors, count, otherwise) (status)

static inline psa_hash_operation_t psa_hash_operation_init(void) {
    return (psa_hash_operation_t)PSA_HASH_OPERATION_INIT;
}

static inline psa_status_t psa_hash_setup(psa_hash_operation_t *operation, uint32_t algorithm) {
    (void)algorithm; // the one that there is
    sha256_init(operation);
    return PSA_SUCCESS;
}

static inline psa_status_t psa_hash_update(psa_hash_operation_t *operation, const uint8_t *input, size_t length) {
    sha256_update(operation, input, length);
    return PSA_SUCCESS;
}

static inline psa_status_t psa_hash_finish(psa_hash_operation_t *operation, uint8_t *hash, size_t size, size_t *length) {
    (void)size; // of a digest: each of LMS' buffers has it
    sha256_finish(operation, hash);
    *length = SHA256_SIZE;
    return PSA_SUCCESS;
}

static inline psa_status_t psa_hash_abort(psa_hash_operation_t *operation) {
    (void)operation; // wiped when it was finished
    return PSA_SUCCESS;
}

#endif

#endif
