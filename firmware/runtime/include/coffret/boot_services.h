// SPDX-License-Identifier: Apache-2.0
// Functions of boot that the image calls, so that the crypto exists once on the board.
#ifndef COFFRET_BOOT_SERVICES_H
#define COFFRET_BOOT_SERVICES_H

#include <stddef.h>
#include <stdint.h>

#define BOOT_SERVICES_MAGIC 0x56534643u // "CFSV"
#define BOOT_SERVICES_VERSION 3u
#define BOOT_SERVICES_OFFSET 0x100u     // from boot's vector table

struct sha256_context {
    uint32_t opaque[28];                // room for mbedtls_sha256_context (static assertion in crypto/)
};

// What a device asks of an image beside its signatures.
struct image_limits {
    uint32_t minimum_counter;           // security counters below it are refused
    uint16_t key_floor;                 // signing keys of a generation below it are revoked
    uint16_t lifecycle;                 // PSA value: in a secured device a development key counts for nothing
};

// As an image's header has it: MCUboot's struct image_version, little endian.
struct image_version {
    uint8_t major, minor;
    uint16_t revision;
    uint32_t build;
};

struct image_info {
    uint32_t size;                      // header + body + TLVs, bytes
    uint32_t security_counter;
    struct image_version version;
    uint8_t digest[32];                 // SHA256 TLV, checked
    uint8_t policy_digest[32];
    uint8_t signer_id[32];
    uint16_t revokes_below;             // once confirmed: the device's new key floor
    uint16_t reserved;
};

struct boot_services {
    uint32_t magic;
    uint32_t version;
    void (*sha256_init)(struct sha256_context *context);
    void (*sha256_update)(struct sha256_context *context, const uint8_t *data, size_t length);
    void (*sha256_finish)(struct sha256_context *context, uint8_t digest[32]);
    // RFC 6979 with SHA-256; signature = r || s, big endian. 0 on success.
    int (*p256_sign)(const uint8_t private_key[32], const uint8_t digest[32], uint8_t signature[64]);
    // Full check of the image in slot 0 or 1. Returns enum reason.
    int (*check_image)(uint32_t slot, const struct image_limits *limits, struct image_info *info);
    // From version 3 on; NULL where the keys are in a Secure world. 0 on success, not for a key out of range.
    int (*p256_public_from)(const uint8_t private_key[32], uint8_t public_key[64]);
};

#endif
