// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "coffret/crypto.h"
#include "coffret/section.h"

// One INTEGER at *at, at most 32 significant bytes, to a 32-byte field. Advances *at; -1 if it is not that.
static int integer(const uint8_t **at, const uint8_t *end, uint8_t field[32]) {
    const uint8_t *der = *at;
    size_t left = (size_t)(end - der);
    if (left < 3u || der[0] != 0x02u || der[1] > left - 2u) {
        return -1;
    }
    size_t length = der[1];
    const uint8_t *value = der + 2;
    *at = value + length;
    // A leading zero only keeps a number positive whose first bit is set. Else the number is zero itself, which no signature
    // has, or negative, or not in the shortest form.
    uint32_t zero = value[0] == 0u;
    value += zero;
    length -= zero;
    if (length - 1u >= 32u || value[0] >> 7 != zero) {
        return -1; // empty, too long
    }
    memset(field, 0, 32u);
    memcpy(field + 32u - length, value, length);
    return 0;
}

BOOT_STEP int p256_signature_from_der(const uint8_t *der, size_t length, uint8_t signature[P256_SIGNATURE_SIZE]) {
    // SEQUENCE of two INTEGERs of 33 bytes is 70 bytes: its length always fits the short form.
    if (length < 8u || length > 72u || der[0] != 0x30u || der[1] != length - 2u) {
        return -1;
    }
    const uint8_t *at = der + 2;
    const uint8_t *end = der + length;
    if (integer(&at, end, signature) != 0 || integer(&at, end, signature + 32) != 0 || at != end) {
        return -1;
    }
    return 0;
}
