// SPDX-License-Identifier: Apache-2.0
// What boot tells the image, at a fixed address inside the attester's memory.
#ifndef COFFRET_HANDOFF_H
#define COFFRET_HANDOFF_H

#include <stdint.h>

#define HANDOFF_MAGIC 0x4F484643u // "CFHO"
#define HANDOFF_VERSION 2u
#define HANDOFF_CERTIFICATE_MAX 544u // the largest is 524: a board name of 32 bytes, a 32-bit counter

// What anybody may know of the device.
struct identity {
    uint8_t instance_id[33];
    uint8_t reserved;
    uint16_t lifecycle;             // PSA value (RFC 9783 section 4.3.1)
    uint8_t boot_digest[32];
    uint8_t implementation_id[32];
    uint8_t key[64];                // X || Y
};

struct handoff {
    uint32_t magic;
    uint16_t version;
    uint16_t reserved;
    uint32_t boot_count;
    uint32_t security_counter;      // of the running image
    uint8_t slot;
    uint8_t trial;                  // 1: not confirmed yet
    uint8_t last_reason;            // enum reason of the last refusal
    uint8_t more_reserved;
    uint8_t image_digest[32];
    uint8_t policy_digest[32];
    uint8_t signer_id[32];
    uint8_t boot_seed[32];
    uint8_t alias_private[32];
    // From here on public; from the identity's key on a function of the device and its image too, of which boot keeps a
    // copy in the record store.
    struct identity identity;
    uint8_t alias_public[64];
    uint16_t certificate_length;
    uint8_t certificate[HANDOFF_CERTIFICATE_MAX];
};

_Static_assert(sizeof(struct handoff) <= 1024, "the handoff fits its KiB");

#endif
