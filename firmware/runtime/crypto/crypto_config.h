// SPDX-License-Identifier: Apache-2.0
// The configuration of mbedTLS (MBEDTLS_CONFIG_FILE): SHA-256, the small variant, and p256-m; LMS where boot asks for it
// (post_quantum.c). Nothing else.
// Not named like mbedTLS' own file, which would be found first.
#ifndef COFFRET_CRYPTO_CONFIG_H
#define COFFRET_CRYPTO_CONFIG_H

#define MBEDTLS_SHA256_C
#define MBEDTLS_SHA256_SMALLER
#define MBEDTLS_PSA_P256M_DRIVER_ENABLED
#define MBEDTLS_DEPRECATED_REMOVED

#endif
