// SPDX-License-Identifier: Apache-2.0
// In the place of mbedTLS' own header: p256-m asks it only for its source of random bytes, and coffret has no PSA
// crypto. `p256.c` answers with the deterministic generator of RFC 6979.
#ifndef COFFRET_PSA_CRYPTO_H
#define COFFRET_PSA_CRYPTO_H

#include <stddef.h>
#include <stdint.h>

#include "mbedtls/build_info.h" // p256-m looks for its switch there

int psa_generate_random(uint8_t *output, size_t output_size);

#endif
