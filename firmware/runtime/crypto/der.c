// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "coffret/crypto.h"
#include "coffret/section.h"

// One INTEGER at *at, at most 32 significant bytes, to a 32-byte field. Advances *at; -1 if it is not that.
static int integer(const uint8_t **at, const uint8_t *end, uint8_t field[32]) {
    const uint8_t *der = *at;
    if (end - der < 3 || der[0] != 0x02u) {
        return -1;
    }
    size_t length = der[1];
    const uint8_t *value = der + 2;
    if (length == 0u || length > 33u || length > (size_t)(end - value) || (value[0] & 0x80u) != 0u) {
        return -1; // empty, too long, or negative
    }
    *at = value + length;
    if (value[0] == 0u) {
        // A leading zero only keeps the number positive; else it is zero itself, which no signature has, or not
        // the shortest form.
        if (length == 1u || (value[1] & 0x80u) == 0u) {
            return -1;
        }
        value++;
        length--;
    }
    if (length > 32u) {
        return -1;
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
