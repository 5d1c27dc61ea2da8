// SPDX-License-Identifier: Apache-2.0
#include "coffret/crypto.h"

void wipe(void *data, size_t length) {
    volatile uint8_t *byte = data;
    while (length-- > 0u) {
        *byte++ = 0;
    }
}

// mbedTLS' and p256-m's own name for it.
void mbedtls_platform_zeroize(void *data, size_t length);
void mbedtls_platform_zeroize(void *data, size_t length) { wipe(data, length); }

uint32_t memory_compare(const void *a, const void *b, size_t length) {
    const volatile uint8_t *one = a;
    const volatile uint8_t *two = b;
    uint32_t difference = 0;
    volatile size_t compared = 0;
    for (size_t i = 0; i < length; i++) {
        difference |= (uint32_t)one[i] ^ two[i];
        compared++;
    }
    // A loop that was left early has not counted to the end.
    return difference == 0u && compared == length ? MEMORY_EQUAL : MEMORY_DIFFERS;
}
