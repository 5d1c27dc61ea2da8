// SPDX-License-Identifier: Apache-2.0
// Is what lies in a slot an image we may start? MCUboot's format (docs/internals.md, Image). Nothing here is trusted
// until its signature is: every length is checked against what is left before it is used, and nothing is copied.
#include <string.h>

#include "board_config.h"
#include "boot.h"
#include "coffret/crypto.h"
#include "coffret/flash.h"
#include "coffret/reason.h"

#define IMAGE_MAGIC 0x96F3B83Du
#define IMAGE_HEADER_SIZE 0x200u
#define IMAGE_FLAGS_ROM_FIXED 0x100u
#define TLV_MAGIC 0x6907u
#define TLV_PROTECTED_MAGIC 0x6908u
#define TLV_HEADER_SIZE 4u

enum tlv_type {
    TLV_KEYHASH = 0x01,
    TLV_SHA256 = 0x10,
    TLV_ECDSA = 0x22,
    TLV_COUNTER = 0x50,
    TLV_POLICY = 0xA0,
    TLV_BOARD = 0xA2
};

// What a walk over the TLVs found; pointers into the slot, NULL: not there.
struct found {
    const uint8_t *digest;
    const uint8_t *key_hash;
    const uint8_t *signature;
    const uint8_t *counter;
    const uint8_t *policy;
    const uint8_t *board;
    uint32_t signature_length;
    uint32_t board_length;
};

static uint32_t u16(const uint8_t *at) { return (uint32_t)at[0] | (uint32_t)at[1] << 8; }
static uint32_t u32(const uint8_t *at) { return u16(at) | u16(at + 2) << 16; }

static uint32_t slot_offset(uint32_t slot) { return slot == 0u ? BOARD_SLOT_A_OFFSET : BOARD_SLOT_B_OFFSET; }

uint32_t slot_address(uint32_t slot) { return BOARD_FLASH_BASE + slot_offset(slot); }

static int take(const uint8_t **place, const uint8_t *value, uint32_t length, uint32_t least, uint32_t most) {
    if (*place != NULL || length < least || length > most) {
        return REASON_TLV; // a second one, or not its size
    }
    *place = value;
    return REASON_OK;
}

// One entry of the protected area. What we do not know there is signed, so a later builder may add to it.
static int take_protected(struct found *found, uint32_t type, const uint8_t *value, uint32_t length) {
    switch (type) {
    case TLV_COUNTER:
        return take(&found->counter, value, length, 4u, 4u);
    case TLV_POLICY:
        return take(&found->policy, value, length, 32u, 32u);
    case TLV_BOARD:
        found->board_length = length;
        return take(&found->board, value, length, 1u, 32u);
    default:
        return REASON_OK;
    }
}

// One entry of the other area: nobody signed it, so it holds these three and nothing else.
static int take_open(struct found *found, uint32_t type, const uint8_t *value, uint32_t length) {
    switch (type) {
    case TLV_SHA256:
        return take(&found->digest, value, length, 32u, 32u);
    case TLV_KEYHASH:
        return take(&found->key_hash, value, length, 32u, 32u);
    case TLV_ECDSA:
        found->signature_length = length;
        return take(&found->signature, value, length, 8u, 72u);
    default:
        return REASON_TLV;
    }
}

// Walks one area of `length` bytes, its own header included, which the caller has checked to be there.
static int walk(struct found *found, const uint8_t *area, uint32_t length,
                int (*taker)(struct found *, uint32_t, const uint8_t *, uint32_t)) {
    uint32_t at = TLV_HEADER_SIZE;
    while (at < length) {
        if (length - at < TLV_HEADER_SIZE) {
            return REASON_TLV;
        }
        uint32_t type = u16(area + at);
        uint32_t size = u16(area + at + 2u);
        at += TLV_HEADER_SIZE;
        if (size > length - at) {
            return REASON_TLV;
        }
        int reason = taker(found, type, area + at, size);
        if (reason != REASON_OK) {
            return reason;
        }
        at += size;
    }
    return REASON_OK;
}

// Header and TLV areas. `hashed`: bytes that the digest covers (header, body, protected TLVs).
static int parse(uint32_t slot, struct found *found, struct image_info *info, uint32_t *hashed) {
    const uint8_t *image = flash_address(slot_offset(slot));
    if (u32(image) != IMAGE_MAGIC) {
        return REASON_NO_IMAGE;
    }
    uint32_t protected_size = u16(image + 10);
    uint32_t body_size = u32(image + 12);
    if (u16(image + 8) != IMAGE_HEADER_SIZE || u32(image + 16) != IMAGE_FLAGS_ROM_FIXED ||
        protected_size < TLV_HEADER_SIZE) {
        return REASON_HEADER;
    }
    if (u32(image + 4) != slot_address(slot)) {
        return REASON_SLOT_ADDRESS;
    }
    uint32_t left = BOARD_SLOT_SIZE - IMAGE_HEADER_SIZE;
    if (body_size > left || protected_size > left - body_size ||
        left - body_size - protected_size < TLV_HEADER_SIZE) {
        return REASON_TOO_LARGE;
    }
    *hashed = IMAGE_HEADER_SIZE + body_size + protected_size;
    left = BOARD_SLOT_SIZE - *hashed;
    const uint8_t *area = image + IMAGE_HEADER_SIZE + body_size;
    if (u16(area) != TLV_PROTECTED_MAGIC || u16(area + 2) != protected_size) {
        return REASON_TLV;
    }
    int reason = walk(found, area, protected_size, take_protected);
    if (reason != REASON_OK) {
        return reason;
    }
    area = image + *hashed;
    uint32_t open_size = u16(area + 2);
    if (u16(area) != TLV_MAGIC || open_size < TLV_HEADER_SIZE || open_size > left) {
        return REASON_TLV;
    }
    info->size = *hashed + open_size;
    info->version_major = image[20];
    info->version_minor = image[21];
    info->version_revision = (uint16_t)u16(image + 22);
    info->version_build = u32(image + 24);
    return walk(found, area, open_size, take_open);
}

static void image_mac(const struct image_macs *macs, uint32_t slot, const struct image_info *info, uint8_t mac[32]) {
    struct hmac_context hmac;
    hmac_init(&hmac, macs->key, sizeof macs->key);
    hmac_update(&hmac, &slot, sizeof slot);
    hmac_update(&hmac, macs->boot_digest, sizeof macs->boot_digest);
    hmac_update(&hmac, info->digest, sizeof info->digest);
    hmac_update(&hmac, info->signer_id, sizeof info->signer_id);
    hmac_finish(&hmac, mac);
}

// The signature over the digest that we computed ourselves, by the key the image names, if it is one of ours.
static int check_signature(const struct found *found, struct image_info *info) {
    if (found->signature == NULL) {
        return REASON_NO_SIGNATURE;
    }
    for (uint32_t i = 0; i < boot_key_count; i++) {
        if (memory_compare(boot_keys[i].hash, info->signer_id, 32u) == MEMORY_EQUAL) {
            uint8_t signature[P256_SIGNATURE_SIZE];
            if (p256_signature_from_der(found->signature, found->signature_length, signature) != 0 ||
                p256_verify(boot_keys[i].key, info->digest, signature) != 0) {
                return REASON_SIGNATURE;
            }
            return REASON_OK;
        }
    }
    return REASON_KEY;
}

// What must hold beside the signature; only looked at once the digest is known to be right.
static int check_claims(const struct found *found, uint32_t minimum_counter, struct image_info *info) {
    if (found->counter == NULL) {
        return REASON_TLV;
    }
    info->security_counter = u32(found->counter);
    if (info->security_counter < minimum_counter) {
        return REASON_COUNTER;
    }
    if (found->policy == NULL) {
        return REASON_NO_POLICY;
    }
    memcpy(info->policy_digest, found->policy, 32u);
    static const char name[] = BOARD_NAME;
    if (found->board == NULL || found->board_length != sizeof name - 1u ||
        memory_compare(found->board, name, sizeof name - 1u) != MEMORY_EQUAL) {
        return REASON_BOARD;
    }
    return REASON_OK;
}

int image_check(uint32_t slot, uint32_t minimum_counter, struct image_info *info, struct image_macs *macs) {
    struct found found = {0};
    uint32_t hashed;
    memset(info, 0, sizeof *info);
    if (slot >= SLOTS) {
        return REASON_NO_IMAGE;
    }
    int reason = parse(slot, &found, info, &hashed);
    if (reason != REASON_OK) {
        return reason;
    }
    if (found.digest == NULL) {
        return REASON_NO_HASH;
    }
    sha256(flash_address(slot_offset(slot)), hashed, info->digest);
    if (memory_compare(info->digest, found.digest, 32u) != MEMORY_EQUAL) {
        return REASON_HASH;
    }
    if (found.key_hash == NULL) {
        return REASON_KEY;
    }
    memcpy(info->signer_id, found.key_hash, 32u);
    uint8_t mac[32];
    if (macs != NULL) {
        image_mac(macs, slot, info, mac);
    }
    if (macs == NULL || memory_compare(mac, macs->macs[slot], 32u) != MEMORY_EQUAL) {
        reason = check_signature(&found, info);
        if (reason != REASON_OK) {
            return reason;
        }
        if (macs != NULL) {
            memcpy(macs->macs[slot], mac, 32u);
            macs->changed = true;
        }
    }
    return check_claims(&found, minimum_counter, info);
}

int boot_check_image(uint32_t slot, uint32_t minimum_counter, struct image_info *info) {
    return image_check(slot, minimum_counter, info, NULL);
}
