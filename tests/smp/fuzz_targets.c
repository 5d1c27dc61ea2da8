// SPDX-License-Identifier: Apache-2.0
// Entry point for libFuzzer, one target a build (-DTARGET_...): every parser that boot or the SMP path has. The input lies
// in a heap block of exactly its size, so that the address sanitizer sees one byte too far.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "board_config.h"
#include "coffret/boot_services.h"
#include "coffret/cbor.h"
#include "smp/backend.h"
#include "smp/frame.h"
#include "smp/slot_image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);

#if defined(TARGET_DER)
#include "coffret/crypto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length) {
    uint8_t signature[P256_SIGNATURE_SIZE];
    (void)p256_signature_from_der(data, length, signature);
    return 0;
}

#elif defined(TARGET_IMAGE) || defined(TARGET_IMAGE_LMS)
#include "boot.h"
#include "coffret/crypto.h"
#include "coffret/flash.h"

// A slot holds the input, then the rest of itself erased.
static uint8_t flash[BOARD_FLASH_SIZE];
const uint8_t *flash_address(uint32_t offset) { return offset <= sizeof flash ? flash + offset : NULL; }

// Nobody's signature is ever right; or, with LMS, everybody's, so that the other one is looked at.
uint32_t p256_verify(const uint8_t public_key[64], const uint8_t digest[32], const uint8_t signature[64]) {
    uint32_t read = public_key[0] ^ digest[0] ^ signature[0]; // what it is given
#ifdef TARGET_IMAGE_LMS
    return read > 0xFFu ? read : MEMORY_EQUAL;
#else
    return read;
#endif
}

static uint32_t u32(const uint8_t *at) {
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

// Mends the digest where it stands first, as in every image of ours: what lies behind it is to be reached too.
static void mend_digest(uint8_t *image, size_t length) {
    uint64_t hashed = 0x200u + (uint64_t)u32(image + 12) + (u32(image + 8) >> 16);
    if (hashed + 8u + 32u <= length && u32(image + hashed + 4u) == 0x00200010u) {
        sha256(image, (size_t)hashed, image + hashed + 8u);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length) {
    const struct image_limits limits = {.minimum_counter = 1u};
    struct checked_image image;
    uint32_t slot = BOARD_SLOT_A_OFFSET;
    if (length > BOARD_SLOT_SIZE) {
        return 0;
    }
    memset(flash + slot, 0xFF, BOARD_SLOT_SIZE);
    memcpy(flash + slot, data, length);
    if (length >= 0x200u) {
        mend_digest(flash + slot, length);
    }
    if (image_check(0, &limits, &image, NULL) == 0) {
        abort(); // nobody signed it
    }
    return 0;
}

#elif defined(TARGET_MAP)
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length) {
    static const char keys[] = CBOR_UINT("u") CBOR_BYTES("b") CBOR_TEXT("t") CBOR_BOOL("f");
    struct cbor_value values[4] = {0};
    static volatile uint8_t sink;
    if (cbor_read_map(data, length, keys, values)) {
        for (size_t i = 1; i < 3; i++) {
            for (size_t at = 0; values[i].present && at < values[i].length; at++) {
                sink = values[i].data[at];
            }
        }
    }
    return 0;
}

#elif defined(TARGET_FRAME)
void smp_port_write(const uint8_t *data, size_t length) {
    (void)data;
    (void)length;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length) {
    uint16_t capacity = length > 0 ? (uint16_t)(data[0] * 4u + 4u) : 4u;
    uint8_t *buffer = malloc(SMP_FRAME_HEAD + capacity);
    struct smp_framer framer;
    smp_framer_start(&framer, buffer, capacity);
    for (size_t i = 1; i < length; i++) {
        (void)smp_framer_feed(&framer, data[i]);
    }
    free(buffer);
    return 0;
}

#elif defined(TARGET_DELTA)
#include "coffret/reason.h"
#include "smp/delta.h"

struct made {
    uint32_t bytes;
    uint32_t most;
    bool ended;
};

static bool count(void *context, const uint8_t *data, uint32_t length) {
    struct made *made = context;
    uint8_t seen = 0;
    for (uint32_t i = 0; i < length; i++) {
        seen ^= data[i];
    }
    made->bytes += length;
    if (made->ended || made->bytes > made->most) {
        abort(); // beyond the target, or behind a unit that was not whole
    }
    made->ended = length % BOARD_FLASH_PROGRAM_SIZE != 0;
    return seen != 0x5A; // a flash that refuses now and then
}

// One byte says how long the base is, another how long a packet; the base is the input itself.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length) {
    struct delta_header header;
    static struct delta delta;
    if (length < 2u || delta_header(data + 2, length - 2u, &header) != REASON_OK || header.length > BOARD_SLOT_SIZE) {
        return 0;
    }
    uint32_t base_length = (uint32_t)length * data[0] / 255u;
    uint8_t *bytes = malloc(base_length + 1u);
    memcpy(bytes, data, base_length);
    struct delta_base base = {.bytes = bytes, .length = base_length, .address = 0x21000000u, .move = 0x80000u};
    struct made made = {.most = header.length};
    delta_open(&delta, &header, data + 2, &base);
    uint32_t at = 2u + delta_header_size(&header);
    uint8_t reason = REASON_OK;
    while (reason == REASON_OK && at < length) {
        uint32_t packet = (uint32_t)length - at < data[1] + 1u ? (uint32_t)length - at : data[1] + 1u;
        uint32_t before = delta.made;
        uint32_t taken;
        uint8_t *copy = malloc(packet);
        memcpy(copy, data + at, packet);
        reason = delta_take(&delta, copy, packet, &taken, count, &made);
        free(copy);
        if (taken == 0 && reason == REASON_OK) {
            abort(); // it would never end
        }
        if (delta.made - before > DELTA_PAGE || delta.made > header.length) {
            abort();
        }
        at += taken;
    }
    if (delta_complete(&delta) && made.bytes != header.length && reason == REASON_OK) {
        abort();
    }
    free(bytes);
    return 0;
}

#elif defined(TARGET_STORE)
#include "coffret/flash.h"
#include "coffret/store.h"

#define BANK 512u
#define HEADER 12u
#define SMALLEST 8u // a record without a payload
#define NEW_KEY 5u

// The two banks, in a block of their exact size.
static uint8_t *banks;
const uint8_t *flash_address(uint32_t offset) { return banks + offset; }

int flash_erase(uint32_t offset, size_t length) {
    memset(banks + offset, 0xFF, length);
    return 0;
}

int flash_program(uint32_t offset, const void *data, size_t length) {
    const uint8_t *bytes = data;
    for (size_t i = 0; i < length; i++) {
        if ((bytes[i] & ~banks[offset + i]) != 0) {
            abort(); // the store programs nothing that it did not find erased
        }
    }
    memcpy(banks + offset, data, length);
    return 0;
}

static uint32_t crc32(const uint8_t *data, size_t length) {
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < length; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ (crc & 1u ? 0xEDB88320u : 0u);
        }
    }
    return ~crc;
}

static void seal(uint8_t *data, size_t length) {
    uint32_t crc = crc32(data, length);
    memcpy(data + length, &crc, sizeof crc);
}

// Right CRCs for the header and the first `records` records, as far as the lengths they claim allow.
static void mend(uint8_t *bank, unsigned records) {
    memcpy(bank, "CFRS", 4);
    seal(bank, 8);
    for (uint32_t at = HEADER; records-- > 0 && at + SMALLEST <= BANK;) {
        uint32_t body = (4u + bank[at + 2] + (uint32_t)bank[at + 3] * 256u + 3u) & ~3u;
        bank[at + 1] = 0xFF;
        if (body + 4u > BANK - at) {
            break;
        }
        seal(bank + at, body);
        at += body + 4u;
    }
}

// Whatever lies in the flash, what was written is there afterwards, and nothing else has changed.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length) {
    if (length < 3u) {
        return 0;
    }
    banks = malloc(2u * BANK);
    memset(banks, 0xFF, 2u * BANK);
    memcpy(banks, data + 3, length - 3u < 2u * BANK ? length - 3u : 2u * BANK);
    for (unsigned bank = 0; bank < 2u; bank++) {
        if (data[bank] & 1u) {
            mend(banks + bank * BANK, data[bank] >> 1);
        }
    }
    struct store store, again;
    store_open(&store, 0, BANK);
    uint8_t before[256][BANK], after[BANK], made[64];
    int lengths[256];
    for (unsigned key = 0; key < 256u; key++) {
        lengths[key] = store_get(&store, (uint8_t)key, before[key], BANK);
    }
    memset(made, data[2], sizeof made);
    size_t size = data[2] % sizeof made;
    bool done = store_put(&store, NEW_KEY, made, size) == 0;
    store_open(&again, 0, BANK);
    if (again.bank != store.bank || again.end != store.end) {
        abort();
    }
    for (unsigned key = 1; key < 255u; key++) {
        bool is_new = done && key == NEW_KEY;
        const uint8_t *expected = is_new ? made : before[key];
        int wanted = is_new ? (int)size : lengths[key];
        int found = store_get(&again, (uint8_t)key, after, BANK);
        if (found != wanted || (found > 0 && memcmp(after, expected, (size_t)found) != 0)) {
            abort();
        }
    }
    free(banks);
    return 0;
}

#elif defined(TARGET_SLOT)
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length) {
    (void)slot_image_hint(data, (uint32_t)length, 5u);
    if (length >= IMAGE_HEADER_SIZE) {
        const uint8_t *digest = slot_image_digest((const struct slot_image *)data, (uint32_t)length);
        if (digest != NULL && (digest < data || digest + 32 > data + length)) {
            abort();
        }
    }
    return 0;
}
#endif
