// SPDX-License-Identifier: Apache-2.0
// SMP group 1, image: state, erase (Zephyr documentation, "SMP group 1"). Upload is in upload.c.
#include <string.h>

#include "board_config.h"
#include "coffret/flash.h"
#include "coffret/reason.h"
#include "smp/backend.h"
#include "smp/server.h"
#include "smp/slot_image.h"


#define SLOTS 2u

// A tenth, rounded down, and what is left; without a division, which on some cores is a function.
static uint32_t tenth(uint32_t value, uint32_t *left) {
    uint32_t quotient = 0;
    for (int shift = 28; shift >= 0; shift--) {
        if (value >> shift >= 10u) {
            value -= 10u << shift;
            quotient += 1u << shift;
        }
    }
    *left = value;
    return quotient;
}

// "1.2.3", or "1.2.3.4" with a build number, as mcumgr writes it. From its end, where the digits come out.
static void write_version(struct cbor_writer *reply, const struct slot_image *image) {
    char text[sizeof "255.255.65535.4294967295"];
    char *end = text + sizeof text;
    char *at = end;
    const uint32_t parts[4] = {image->major, image->minor, image->revision, image->build};
    for (unsigned part = image->build != 0 ? 4u : 3u; part-- > 0;) {
        uint32_t value = parts[part];
        do {
            uint32_t digit;
            value = tenth(value, &digit);
            *--at = (char)('0' + digit);
        } while (value != 0);
        if (part > 0) {
            *--at = '.';
        }
    }
    cbor_write_text(reply, "version");
    cbor_write_text_length(reply, at, (size_t)(end - at));
}

// What is true of the slot; in the order of the reply, a bit each from bit 0.
static void write_flags(struct cbor_writer *reply, const struct boot_state *state, uint8_t slot) {
    static const char names[][10] = {"bootable", "pending", "confirmed", "active", "permanent"};
    uint32_t flags = 1u; // bootable as far as it says of itself: others are not listed
    flags |= (uint32_t)(slot == state->pending && (state->flags & BOOT_TRIED) == 0) << 1;
    flags |= (uint32_t)(slot == state->active) << 2;
    flags |= (uint32_t)(slot == smp_running_slot()) << 3;
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        smp_put_bool(reply, names[i], (flags >> i & 1u) != 0);
    }
}

int smp_image_state(struct smp_server *server, const struct cbor_value *given, struct cbor_writer *reply) {
    (void)server;
    (void)given;
    struct boot_state state;
    smp_boot_state(&state);
    cbor_write_map(reply, 1);
    cbor_write_text(reply, "images");
    uint8_t *count = reply->at; // of the array's items, in its head: there is room, and there are less than 24
    cbor_write_array(reply, 0);
    for (uint8_t slot = 0; slot < SLOTS; slot++) {
        const uint8_t *digest = smp_slot_digest(slot);
        if (digest == NULL) {
            continue;
        }
        ++*count;
        cbor_write_map(reply, 8);
        smp_put_uint(reply, "slot", slot);
        write_version(reply, (const struct slot_image *)smp_slot_address(slot));
        smp_put_bytes(reply, "hash", digest, 32);
        write_flags(reply, &state, slot);
    }
    return SMP_OK;
}

int smp_image_refuse(struct smp_server *server, uint8_t slot, uint8_t reason) {
    // Indexed by enum reason. What mcumgr has no code for is said as the TLV that is wrong (5) or missing (4).
    static const uint8_t errors[] = {
        [REASON_NO_IMAGE] = IMAGE_INVALID_MAGIC,   [REASON_HEADER] = IMAGE_INVALID_HEADER,
        [REASON_SLOT_ADDRESS] = IMAGE_INVALID_ADDRESS, [REASON_TOO_LARGE] = IMAGE_TOO_LARGE,
        [REASON_TLV] = IMAGE_INVALID_TLV,          [REASON_BOARD] = IMAGE_INVALID_TLV,
        [REASON_NO_HASH] = IMAGE_HASH_NOT_FOUND,   [REASON_HASH] = IMAGE_INVALID_HASH,
        [REASON_KEY] = IMAGE_INVALID_TLV,          [REASON_NO_SIGNATURE] = IMAGE_NO_TLVS,
        [REASON_SIGNATURE] = IMAGE_INVALID_TLV,    [REASON_COUNTER] = IMAGE_CURRENT_NEWER,
        [REASON_NO_POLICY] = IMAGE_NO_TLVS,        [REASON_FLASH] = IMAGE_FLASH_READ,
        [REASON_REVOKED] = IMAGE_INVALID_TLV,      [REASON_THRESHOLD] = IMAGE_NO_TLVS,
        [REASON_POST_QUANTUM] = IMAGE_NO_TLVS,     [REASON_REVOKES_ITSELF] = IMAGE_INVALID_TLV,
#ifdef SMP_DELTA
        [REASON_DELTA_BASE] = IMAGE_HASH_NOT_FOUND, [REASON_DELTA] = IMAGE_INVALID_HEADER,
#endif
    };
    server->refused_slot = slot;
    server->refused_reason = reason;
    smp_refused(slot, reason);
    return reason < sizeof errors / sizeof errors[0] ? (int)errors[reason] : (int)IMAGE_NO_IMAGE;
}

int smp_image_check(struct smp_server *server, uint8_t slot) {
    struct image_info info;
    struct image_limits limits;
    smp_limits(&limits);
    int reason = server->services->check_image(slot, &limits, &info);
    return reason == REASON_OK ? (int)SMP_OK : smp_image_refuse(server, slot, (uint8_t)reason);
}

static uint8_t slot_named(const struct cbor_value *hash) {
    for (uint8_t slot = 0; slot < SLOTS; slot++) {
        const uint8_t *digest = smp_slot_digest(slot);
        if (digest != NULL && hash->length == 32 && memcmp(digest, hash->data, 32) == 0) {
            return slot;
        }
    }
    return BOOT_SLOT_NONE;
}

int smp_image_set_state(struct smp_server *server, const struct cbor_value *given, struct cbor_writer *reply) {
    const struct cbor_value *hash = &given[0];
    const struct cbor_value *confirm = &given[1];
    int error = SMP_OK;
    uint8_t slot = BOOT_SLOT_NONE;
    if (hash->present) {
        slot = slot_named(hash);
        if (slot == BOOT_SLOT_NONE) {
            return IMAGE_HASH_NOT_FOUND;
        }
    }
    if (confirm->value != 0) {
        error = smp_confirm(slot);
    } else if (!hash->present) {
        error = IMAGE_INVALID_HASH;
    } else if (slot == smp_running_slot()) {
        error = IMAGE_TEST_ACTIVE_DENIED;
    } else {
        error = smp_image_check(server, slot);
        if (error == SMP_OK && !smp_mark_test(slot)) {
            error = IMAGE_FLASH_WRITE;
        }
    }
    return error != SMP_OK ? error : smp_image_state(server, given, reply);
}

// Blocks that are blank already are left alone: a slot's worth of erasing outlasts most hosts' patience.
static bool erase_block(uint8_t slot, uint32_t offset) {
    return flash_is_blank(smp_slot_address(slot) + offset, BOARD_FLASH_ERASE_SIZE) ||
           smp_slot_erase(slot, offset, BOARD_FLASH_ERASE_SIZE);
}

int smp_image_erase(struct smp_server *server, const struct cbor_value *given, struct cbor_writer *reply) {
    uint8_t slot = smp_running_slot() == 1 ? 0 : 1;
    if (given->present) {
        if (given->value >= SLOTS) {
            return IMAGE_INVALID_SLOT;
        }
        slot = (uint8_t)given->value;
    }
    int error = smp_slot_claim(slot);
    if (error != SMP_OK) {
        return error;
    }
    struct upload_mark nothing;
    memset(&nothing, 0, sizeof nothing);
    server->upload.open = false;
    smp_mark_save(&nothing);
    for (uint32_t offset = 0; offset < BOARD_SLOT_SIZE; offset += BOARD_FLASH_ERASE_SIZE) {
        if (!erase_block(slot, offset)) {
            return IMAGE_FLASH_ERASE;
        }
    }
    cbor_write_map(reply, 0);
    return SMP_OK;
}
