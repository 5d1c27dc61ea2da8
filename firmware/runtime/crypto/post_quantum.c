// SPDX-License-Identifier: Apache-2.0
// LMS (RFC 8554, NIST SP 800-208) with mbedTLS' `lmots.c` and `lms.c`, which are compiled as parts of this file: the
// verification ends in one branch, and ours must not. Nothing of it is in a boot that asks for no such signature.
#ifdef BOOT_POST_QUANTUM

#include "mbedtls/build_info.h"
// Behind mbedTLS' look at its own configuration, which would want all of PSA's layer; what of it these two files call is
// in shim/psa/crypto.h.
#define MBEDTLS_LMS_C
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#include "lmots.c"

#include <stddef.h>

#include "coffret/crypto.h"
#include "coffret/section.h"

// Both files have a function and a macro of these names.
#define local_err_translation lms_error_translation
#undef PUBLIC_KEY_I_KEY_ID_OFFSET

struct verification {
    mbedtls_lms_public_t key;
    volatile uint32_t word;     // of the comparison of roots; 0 until there was one
};

// mbedtls_lms_verify() ends by comparing the root that it computed with the key's, which it has from a `struct
// verification`: there the answer is kept as a word that the caller can carry on.
static int compare_roots(const void *computed, const void *root, size_t length) {
    struct verification *check =
        (struct verification *)((uintptr_t)root - offsetof(struct verification, key.T_1_pub_key));
    check->word = memory_compare(computed, root, length);
    return check->word == MEMORY_EQUAL ? 0 : -1;
}

#define memcmp compare_roots
#include "lms.c"
#undef memcmp
#pragma GCC diagnostic pop

_Static_assert(LMS_PUBLIC_SIZE == MBEDTLS_LMS_PUBLIC_KEY_LEN(MBEDTLS_LMS_SHA256_M32_H10), "the key's size");
_Static_assert(LMS_SIGNATURE_SIZE == MBEDTLS_LMS_SIG_LEN(MBEDTLS_LMS_SHA256_M32_H10, MBEDTLS_LMOTS_SHA256_N32_W8),
               "and the signature's");

BOOT_STEP uint32_t lms_verify(const uint8_t public_key[LMS_PUBLIC_SIZE], const uint8_t digest[SHA256_SIZE],
                              const uint8_t signature[LMS_SIGNATURE_SIZE]) {
    struct verification check;
    check.word = 0;
    mbedtls_lms_public_init(&check.key);
    if (mbedtls_lms_import_public_key(&check.key, public_key, LMS_PUBLIC_SIZE) != 0 ||
        mbedtls_lms_verify(&check.key, digest, SHA256_SIZE, signature, LMS_SIGNATURE_SIZE) != 0) {
        return 0;
    }
    return check.word;
}

#endif
