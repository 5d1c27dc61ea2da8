// SPDX-License-Identifier: Apache-2.0
#include "smp/slot_image.h"

#include <stddef.h>
#include <string.h>

#include "board_config.h"
#include "coffret/reason.h"

// MCUboot image.h.
#define IMAGE_MAGIC 0x96F3B83Du
#define FLAG_ROM_FIXED 0x100u
#define TLV_MAGIC 0x6907u
#define TLV_SHA256 0x10u
#define TLV_INFO 4u     // magic u16, total u16
#define TLV_HEADER 4u   // type u16, length u16

static uint16_t load16(const uint8_t *bytes) {
    return (uint16_t)(bytes[0] | bytes[1] << 8);
}

uint8_t slot_image_header(const struct slot_image *image, uint32_t limit) {
    if (image->magic != IMAGE_MAGIC) {
        return REASON_NO_IMAGE;
    }
    if (image->header_size != IMAGE_HEADER_SPACE || image->image_size == 0 ||
        image->protected_size < TLV_INFO || image->flags != FLAG_ROM_FIXED) {
        return REASON_HEADER;
    }
    uint32_t around = (uint32_t)image->header_size + image->protected_size;
    if (around > limit || image->image_size > limit - around) {
        return REASON_TOO_LARGE;
    }
    return REASON_OK;
}

uint8_t slot_image_hint(const uint8_t *bytes, uint32_t length, uint32_t minimum_counter) {
    struct image_hint hint;
    if (length < IMAGE_HEADER_SIZE + sizeof hint) {
        return REASON_OK;
    }
    memcpy(&hint, bytes + IMAGE_HEADER_SIZE, sizeof hint);
    if (hint.magic != IMAGE_HINT_MAGIC) {
        return REASON_OK; // another builder's, or too old: the full check will tell
    }
    if (memcmp(hint.board, BOARD_NAME, sizeof BOARD_NAME) != 0) {
        return REASON_BOARD;
    }
    return hint.security_counter < minimum_counter ? REASON_COUNTER : REASON_OK;
}

static uint32_t signed_size(const struct slot_image *image) {
    return image->header_size + image->image_size + image->protected_size;
}

const uint8_t *slot_image_digest(const struct slot_image *image, uint32_t size) {
    const uint8_t *slot = (const uint8_t *)image;
    if (slot_image_header(image, size) != REASON_OK) {
        return NULL;
    }
    uint32_t at = signed_size(image);
    if (size - at < TLV_INFO || load16(slot + at) != TLV_MAGIC) {
        return NULL;
    }
    uint32_t end = load16(slot + at + 2);
    if (end > size - at) {
        return NULL;
    }
    end += at;
    at += TLV_INFO;
    while (at < end && end - at >= TLV_HEADER) {
        uint32_t length = load16(slot + at + 2);
        if (length > end - at - TLV_HEADER) {
            return NULL;
        }
        if (load16(slot + at) == TLV_SHA256 && length == 32) {
            return slot + at + TLV_HEADER;
        }
        at += TLV_HEADER + length;
    }
    return NULL;
}

uint32_t slot_image_size(const struct slot_image *slot) {
    uint32_t end = signed_size(slot);
    return end + load16((const uint8_t *)slot + end + 2);
}

int slot_image_compare(const struct slot_image *a, const struct slot_image *b) {
    uint32_t left = (uint32_t)a->major << 24 | (uint32_t)a->minor << 16 | a->revision;
    uint32_t right = (uint32_t)b->major << 24 | (uint32_t)b->minor << 16 | b->revision;
    return left < right ? -1 : left > right;
}
