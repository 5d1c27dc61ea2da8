// SPDX-License-Identifier: Apache-2.0
// Is what lies in a slot an image we may start? MCUboot's format (docs/internals.md, Image). Nothing here is trusted
// until its signature is: every length is checked against what is left before it is used, and nothing is copied.
#include <string.h>

#include "board_config.h"
#include "boot.h"
#include "coffret/crypto.h"
#include "coffret/flash.h"
#include "coffret/reason.h"
#include "smp/slot_image.h"

#define TLV_MAGIC 0x6907u
#define TLV_PROTECTED_MAGIC 0x6908u
#define TLV_HEADER_SIZE 4u

enum tlv_type {
    TLV_KEYHASH = 0x01,
    TLV_SHA256 = 0x10,
    TLV_ECDSA = 0x22,
    TLV_COUNTER = 0x50,
    TLV_POLICY = 0xA0,
    TLV_BOARD = 0xA2,
    TLV_REVOKE = 0xA3,
    TLV_LMS = 0xA4
};

#define SIGNATURES_MAX 4u

// What a walk over the TLVs found: values in the slot, NULL: not there.
struct found {
    const uint8_t *digest;
    const uint8_t *counter;
    const uint8_t *policy;
    const uint8_t *board;
    const uint8_t *revoke;
    const uint8_t *key_hash;    // of the signature that comes next
    const uint8_t *value;       // of the signature that is being taken
    uint32_t signatures;
    struct {
        const uint8_t *key_hash;
        const uint8_t *value;
    } signature[SIGNATURES_MAX];
#ifdef BOOT_POST_QUANTUM
    const uint8_t *lms_key_hash;
    const uint8_t *lms;
#endif
};

#ifdef BOOT_POST_QUANTUM
typedef uint16_t tlv_length;
#else
typedef uint8_t tlv_length;
#endif

// A TLV that may stand in an area, and where in `struct found` it is kept.
struct expected {
    uint8_t type;
    tlv_length least; // bytes
    tlv_length most;
    uint8_t place;
};

#define EXPECT(type, least, most, member) {type, least, most, offsetof(struct found, member)}
#define END_OF_EXPECTED {0, 0, 0, 0}

// What we do not know there is signed, so a later builder may add to it.
static const struct expected in_protected[] = {
    EXPECT(TLV_COUNTER, 4u, 4u, counter), EXPECT(TLV_POLICY, 32u, 32u, policy), EXPECT(TLV_BOARD, 1u, 32u, board),
    EXPECT(TLV_REVOKE, 2u, 2u, revoke), END_OF_EXPECTED};
// Nobody signed that area, so it holds these and nothing else. Each signature follows the hash of its key.
static const struct expected in_open[] = {
    EXPECT(TLV_SHA256, 32u, 32u, digest), EXPECT(TLV_KEYHASH, 32u, 32u, key_hash), EXPECT(TLV_ECDSA, 8u, 72u, value),
#ifdef BOOT_POST_QUANTUM
    EXPECT(TLV_LMS, LMS_SIGNATURE_SIZE, LMS_SIGNATURE_SIZE, lms),
#endif
    END_OF_EXPECTED};

static uint32_t u16(const uint8_t *at) { return (uint32_t)at[0] | (uint32_t)at[1] << 8; }
static uint32_t u32(const uint8_t *at) { return u16(at) | u16(at + 2) << 16; }

uint32_t slot_offset(uint32_t slot) { return slot == 0u ? BOARD_SLOT_A_OFFSET : BOARD_SLOT_B_OFFSET; }

uint32_t slot_address(uint32_t slot) { return BOARD_FLASH_BASE + slot_offset(slot); }

// The length of a TLV's value stands before it.
static uint32_t length_of(const uint8_t *value) { return u16(value - 2); }

// A value that has its place: once, and of its size.
static int take(struct found *found, const struct expected *expected, const uint8_t *value) {
    const uint8_t **place = (const uint8_t **)((uint8_t *)found + expected->place);
    uint32_t length = length_of(value);
    if (*place != NULL || length < expected->least || length > expected->most) {
        return REASON_TLV;
    }
    *place = value;
    if (expected->type == TLV_ECDSA) {
        if (found->signatures == SIGNATURES_MAX) {
            return REASON_TLV;
        }
        if (found->key_hash == NULL) {
            return REASON_KEY;
        }
        found->signature[found->signatures].key_hash = found->key_hash;
        found->signature[found->signatures].value = value;
        found->signatures++;
        found->key_hash = NULL;
        found->value = NULL;
    }
#ifdef BOOT_POST_QUANTUM
    if (expected->type == TLV_LMS) {
        if (found->key_hash == NULL) {
            return REASON_KEY;
        }
        found->lms_key_hash = found->key_hash;
        found->key_hash = NULL;
    }
#endif
    return REASON_OK;
}

// Walks one area, its own header included, of at most `room` bytes, which are at least that header's. `size`: what it takes.
static int walk(struct found *found, const uint8_t *area, uint32_t magic, uint32_t room, const struct expected *expected,
                uint32_t *size) {
    uint32_t length = u16(area + 2);
    uint32_t at = TLV_HEADER_SIZE;
    *size = length;
    if (u16(area) != magic || length < at || length > room) {
        return REASON_TLV;
    }
    while (at < length) {
        if (length - at < TLV_HEADER_SIZE) {
            return REASON_TLV;
        }
        uint32_t type = u16(area + at);
        at += TLV_HEADER_SIZE;
        const uint8_t *value = area + at;
        if (length_of(value) > length - at) {
            return REASON_TLV;
        }
        const struct expected *entry = expected;
        while (entry->type != 0u && entry->type != type) {
            entry++;
        }
        int reason = entry->type != 0u          ? take(found, entry, value)
                     : expected == in_protected ? REASON_OK
                                                : REASON_TLV;
        if (reason != REASON_OK) {
            return reason;
        }
        at += length_of(value);
    }
    return REASON_OK;
}

// Header and TLV areas. `hashed`: bytes that the digest covers (header, body, protected TLVs).
static int parse(uint32_t slot, struct found *found, struct image_info *info, uint32_t *hashed) {
    const uint8_t *start = flash_address(slot_offset(slot));
    const struct slot_image *image = (const struct slot_image *)start;
    uint32_t size;
    int reason = slot_image_header(image, BOARD_SLOT_SIZE - TLV_HEADER_SIZE);
    if (reason != REASON_OK) {
        return reason;
    }
    if (image->load_address != slot_address(slot)) {
        return REASON_SLOT_ADDRESS;
    }
    uint32_t at = IMAGE_HEADER_SPACE + image->image_size;
    reason = walk(found, start + at, TLV_PROTECTED_MAGIC, image->protected_size, in_protected, &size);
    if (reason != REASON_OK) {
        return reason;
    }
    if (size != image->protected_size) {
        return REASON_TLV;
    }
    at += size;
    *hashed = at;
    reason = walk(found, start + at, TLV_MAGIC, BOARD_SLOT_SIZE - at, in_open, &size);
    info->size = at + size;
    memcpy(&info->version, &image->major, sizeof info->version);
    if (found->counter == NULL) {
        return reason != REASON_OK ? reason : REASON_TLV;
    }
    info->security_counter = u32(found->counter);
    if (found->revoke != NULL) {
        info->revokes_below = (uint16_t)u16(found->revoke);
    }
    if (found->signatures != 0u && found->key_hash != NULL) {
        return REASON_TLV; // of a key without its signature
    }
    return reason;
}

const uint8_t *image_digest(uint32_t slot) {
    struct found found = {0};
    struct image_info info;
    uint32_t hashed;
    return parse(slot, &found, &info, &hashed) == REASON_OK ? found.digest : NULL;
}

static void image_mac(const struct image_macs *macs, uint32_t slot, const struct image_limits *limits,
                      const struct image_info *info, uint8_t mac[32]) {
    // A device that revoked keys or was secured since must look at the signatures again.
    const uint32_t context[] = {slot, limits->key_floor, is_secured(limits->lifecycle)};
    struct hmac_context hmac;
    hmac_init(&hmac, macs->key, sizeof macs->key);
    hmac_update(&hmac, context, sizeof context);
    hmac_update(&hmac, info->digest, sizeof info->digest);
    hmac_update(&hmac, info->signer_id, sizeof info->signer_id);
    hmac_finish(&hmac, mac);
}

// MEMORY_EQUAL if this key may sign images of this device.
static uint32_t key_counts(const struct boot_key *key, const struct image_limits *limits) {
    uint32_t allowed = at_least(key->generation, limits->key_floor);
    return is_secured(limits->lifecycle) ? allowed + at_least(KEY_RELEASE, key->role) - MEMORY_EQUAL : allowed;
}

// Which of our keys has this hash; behind them all: none.
static uint32_t find_key(const uint8_t *hash) {
    uint32_t i = 0;
    while (i < boot_key_count + boot_lms_key_count && memory_compare(boot_keys[i].hash, hash, 32u) != MEMORY_EQUAL) {
        i++;
    }
    return i;
}

// One signature, by the key of this number, over the digest that we computed ourselves. `word` becomes MEMORY_EQUAL if it
// is good and the key counts, and only then. REASON_KEY, REASON_REVOKED: it does not.
static int check_signature(uint32_t number, const uint8_t *der, const struct image_limits *limits,
                           const struct image_info *info, volatile uint32_t *word) {
    uint8_t signature[P256_SIGNATURE_SIZE];
    const struct boot_key *key = &boot_keys[number];
    bool known = number < boot_key_count;
    // Through memory: behind the branches on them the compiler would put in what they must have been.
    volatile uint32_t counts = known ? key_counts(key, limits) : 0u;
    if (counts != MEMORY_EQUAL) {
        return known ? REASON_REVOKED : REASON_KEY;
    }
    if (info->revokes_below > key->generation) {
        return REASON_REVOKES_ITSELF;
    }
    if (p256_signature_from_der(der, length_of(der), signature) != 0) {
        return REASON_SIGNATURE;
    }
    volatile uint32_t verified = p256_verify(key->key, info->digest, signature);
    *word = counts + verified - MEMORY_EQUAL;
    return verified == MEMORY_EQUAL ? REASON_OK : REASON_SIGNATURE;
}

// `word` becomes MEMORY_EQUAL if as many keys of ours as it takes made good signatures, and only then. The first signature
// names the signer (DICE's authority), so it must be one that counts; of the others those that do not count are passed
// over, so that an image outlives the revocation of a spare key.
#ifdef BOOT_THRESHOLD
static int check_signatures(const struct found *found, const struct image_limits *limits, const struct image_info *info,
                            volatile uint32_t *word) {
    uint32_t sum = 0;
    uint32_t used = 0; // a bit a key
    uint32_t good = 0;
    if (found->signatures == 0u) {
        return REASON_NO_SIGNATURE;
    }
    for (uint32_t i = 0; i < found->signatures && good < boot_threshold; i++) {
        volatile uint32_t one = 0;
        uint32_t number = find_key(found->signature[i].key_hash);
        if ((used >> number & 1u) != 0u) {
            continue;
        }
        int reason = check_signature(number, found->signature[i].value, limits, info, &one);
        if (i != 0u && (reason == REASON_KEY || reason == REASON_REVOKED)) {
            continue;
        }
        if (reason != REASON_OK) {
            return reason;
        }
        sum += one;
        used |= 1u << number;
        good++;
    }
    uint32_t keys = 0;
    for (uint32_t bits = used; bits != 0u; bits &= bits - 1u) {
        keys++;
    }
    *word = MEMORY_EQUAL + sum - MEMORY_EQUAL * boot_threshold + 5u * (keys ^ boot_threshold);
    return good < boot_threshold ? REASON_THRESHOLD : REASON_OK;
}
#else
// One signature is enough, so it is the first.
static int check_signatures(const struct found *found, const struct image_limits *limits, const struct image_info *info,
                            volatile uint32_t *word) {
    if (found->signatures == 0u) {
        return REASON_NO_SIGNATURE;
    }
    return check_signature(find_key(found->signature[0].key_hash), found->signature[0].value, limits, info, word);
}
#endif

#ifdef BOOT_POST_QUANTUM
_Static_assert(LMS_PUBLIC_SIZE <= sizeof(((struct boot_key *)0)->key), "a key of either kind has room");

// The second signature, which holds even if elliptic curves do not: LMS over the same digest, by a key of ours that counts.
// `word` becomes MEMORY_EQUAL only if it is good.
static int check_post_quantum(const struct found *found, const struct image_limits *limits,
                              const struct image_info *info, volatile uint32_t *word) {
    *word = 0;
    uint32_t number = found->lms != NULL ? find_key(found->lms_key_hash) : 0u;
    if (number - boot_key_count >= boot_lms_key_count) {
        return REASON_POST_QUANTUM;
    }
    const struct boot_key *key = &boot_keys[number];
    volatile uint32_t counts = key_counts(key, limits); // through memory, as above
    if (counts != MEMORY_EQUAL) {
        return REASON_REVOKED;
    }
    if (info->revokes_below > key->generation) {
        return REASON_REVOKES_ITSELF;
    }
    volatile uint32_t verified = lms_verify(key->key, info->digest, found->lms);
    *word = counts + verified - MEMORY_EQUAL;
    return verified == MEMORY_EQUAL ? REASON_OK : REASON_POST_QUANTUM;
}
#endif

// How the proof goes on from one check to the next: order counts, and no sum of a few words makes up for another.
static uint32_t proof_step(uint32_t proof, uint32_t word) { return (proof << 7 | proof >> 25) + word; }

#define PROOF_START 0x6B2E91D4u
#ifdef BOOT_POST_QUANTUM
#define PROOF_STEPS 6
#else
#define PROOF_STEPS 5
#endif

uint32_t image_proof(uint32_t address) {
    uint32_t proof = PROOF_START ^ address;
    for (int step = 0; step < PROOF_STEPS; step++) {
        proof = proof_step(proof, MEMORY_EQUAL);
    }
    return proof;
}

// What must hold beside the signature. Two steps of the proof.
static int check_claims(const struct found *found, const struct image_limits *limits, struct checked_image *image) {
    static const char name[] = BOARD_NAME;
    uint32_t counter = at_least(image->info.security_counter, limits->minimum_counter);
    image->proof = proof_step(image->proof, counter);
    if (counter != MEMORY_EQUAL) {
        return REASON_COUNTER;
    }
    if (found->policy == NULL) {
        return REASON_NO_POLICY;
    }
    memcpy(image->info.policy_digest, found->policy, 32u);
    if (found->board == NULL || length_of(found->board) != sizeof name - 1u) {
        return REASON_BOARD;
    }
    uint32_t board = memory_compare(found->board, name, sizeof name - 1u);
    image->proof = proof_step(image->proof, board);
    return board == MEMORY_EQUAL ? REASON_OK : REASON_BOARD;
}

// The MAC of an image that was verified before, else its signatures. Two steps of the proof, and one for LMS.
static int check_origin(uint32_t slot, const struct found *found, const struct image_limits *limits,
                        struct checked_image *image, struct image_macs *macs, uint8_t mac[32]) {
    volatile uint32_t word = 0;
    uint32_t key = MEMORY_EQUAL;
    int reason = REASON_OK;
    memset(mac, 0x5A, 32u); // a skipped computation leaves this
    if (macs != NULL) {
        image_mac(macs, slot, limits, &image->info, mac);
        key = memory_compare(macs->key, macs->key_again, sizeof macs->key);
        word = memory_compare(mac, macs->macs[slot], 32u);
    }
#ifdef BOOT_POST_QUANTUM
    volatile uint32_t post_quantum = word; // the MAC stands for all signatures
#endif
    if (word != MEMORY_EQUAL || key != MEMORY_EQUAL) {
        reason = check_signatures(found, limits, &image->info, &word);
#ifdef BOOT_POST_QUANTUM
        if (reason == REASON_OK) {
            reason = check_post_quantum(found, limits, &image->info, &post_quantum);
        }
#endif
        if (macs != NULL && reason == REASON_OK) {
            macs->changed = true;
        }
        key = MEMORY_EQUAL;
    }
    image->proof = proof_step(image->proof, word);
#ifdef BOOT_POST_QUANTUM
    image->proof = proof_step(image->proof, post_quantum);
#endif
    image->proof = proof_step(image->proof, key);
    return reason;
}

int image_check(uint32_t slot, const struct image_limits *limits, struct checked_image *image,
                struct image_macs *macs) {
    struct found found = {0};
    struct image_info *info = &image->info;
    uint32_t hashed;
    uint8_t mac[32];
    memset(info, 0, sizeof *info);
    image->proof = 0;
    if (slot >= SLOTS) {
        return REASON_NO_IMAGE;
    }
    const uint8_t *start = flash_address(slot_offset(slot));
    int reason = parse(slot, &found, info, &hashed);
    if (reason != REASON_OK) {
        return reason;
    }
    if (found.digest == NULL) {
        return REASON_NO_HASH;
    }
    sha256(start, hashed, info->digest);
    image->proof = PROOF_START ^ (uint32_t)(uintptr_t)start;
    uint32_t same = memory_compare(info->digest, found.digest, 32u);
    image->proof = proof_step(image->proof, same);
    if (same != MEMORY_EQUAL) {
        return REASON_HASH;
    }
    if (found.signatures != 0u) {
        memcpy(info->signer_id, found.signature[0].key_hash, 32u);
    }
    reason = check_origin(slot, &found, limits, image, macs, mac);
    if (reason == REASON_OK) {
        reason = check_claims(&found, limits, image);
    }
    if (macs != NULL && macs->changed && reason == REASON_OK) {
        // Kept only as far as the proof is right: a MAC that a fault let through would be believed for ever.
        uint32_t wrong = image->proof ^ image_proof((uint32_t)(uintptr_t)start);
        for (uint32_t i = 0; i < sizeof mac; i++) {
            macs->macs[slot][i] = (uint8_t)(mac[i] ^ wrong >> 8u * (i % 4u));
        }
    }
    return reason;
}

#ifdef BOOT_DECOMMISSION
// The area that is behind an image: key hashes and signatures, here over a text and the instance id. So it is good for one
// device, and as many keys must agree as for an image.
bool decommission_ordered(const uint8_t *order, size_t length, const uint8_t instance_id[33],
                          const struct image_limits *limits) {
    static const char text[] = "coffret: decommission"; // its NUL is signed too
    struct found found = {0};
    struct image_info info = {0};
    struct sha256_context hash;
    volatile uint32_t word = 0;
    uint32_t size;
    if (length < TLV_HEADER_SIZE || walk(&found, order, TLV_MAGIC, length, in_open, &size) != REASON_OK ||
        size != length) {
        return false;
    }
    sha256_init(&hash);
    sha256_update(&hash, (const uint8_t *)text, sizeof text);
    sha256_update(&hash, instance_id, 33u);
    sha256_finish(&hash, info.digest);
    return check_signatures(&found, limits, &info, &word) == REASON_OK && word == MEMORY_EQUAL;
}
#endif

int boot_check_image(uint32_t slot, const struct image_limits *limits, struct image_info *info) {
    struct checked_image image;
    int reason = image_check(slot, limits, &image, NULL);
    *info = image.info;
    return reason;
}
