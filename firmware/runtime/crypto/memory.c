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
    // Counted twice over, in memory, so that no one instruction stands between a difference and the answer; and without
    // a branch on it. A loop that was left early has not counted to the end.
    volatile uint32_t difference = 0;
    volatile uint32_t again = 0;
    volatile size_t left = length;
    for (size_t i = 0; i < length; i++) {
        difference |= (uint32_t)one[i] ^ two[i];
        again |= (uint32_t)two[i] ^ one[i];
        left--;
    }
    uint32_t answer = MEMORY_EQUAL ^ difference;
    uint32_t nothing = (uint32_t)((length - 1u) >> 31); // 1: a length that was never set compares nothing
    return ((answer + 3u * again) ^ (uint32_t)left << 16) + nothing;
}

uint32_t at_least(uint32_t value, uint32_t minimum) {
    volatile uint32_t value_again = value;
    volatile uint32_t minimum_again = minimum;
    uint32_t below = (uint32_t)(((uint64_t)value - minimum) >> 32);
    uint32_t below_again = (uint32_t)(((uint64_t)value_again - minimum_again) >> 32);
    return (MEMORY_EQUAL ^ below) + 3u * below_again;
}
