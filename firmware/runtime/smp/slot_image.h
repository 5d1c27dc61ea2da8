// SPDX-License-Identifier: Apache-2.0
// What a slot or the first bytes of an upload say about themselves. Nothing here is verified: it is for listing
// slots and for refusing at once what cannot fit. Only boot's check decides what may run.
#ifndef COFFRET_SMP_SLOT_IMAGE_H
#define COFFRET_SMP_SLOT_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#define IMAGE_HEADER_SIZE 32u       // of MCUboot's structure
#define IMAGE_HEADER_SPACE 0x200u   // up to the vector table; boot accepts no other

struct slot_image {
    uint32_t magic;
    uint32_t load_address;
    uint16_t header_size;
    uint16_t protected_size;
    uint32_t image_size;
    uint32_t flags;
    uint8_t major;
    uint8_t minor;
    uint16_t revision;
    uint32_t build;
    uint32_t padding;
};

_Static_assert(sizeof(struct slot_image) == IMAGE_HEADER_SIZE, "as in MCUboot's image.h, little endian");

// What an image tells of itself right behind MCUboot's header, in the space before the vector table, so that a device can
// refuse it at the first packet: the TLVs that say the same with authority come last.
#define IMAGE_HINT_MAGIC 0x49484643u // "CFHI"
struct image_hint {
    uint32_t magic;
    uint32_t security_counter;
    char board[32];                 // padded with zeros
};
// Why an image with these first bytes cannot be valid, as far as they tell: REASON_OK, REASON_BOARD or REASON_COUNTER.
uint8_t slot_image_hint(const uint8_t *bytes, uint32_t length, uint32_t minimum_counter);

// `limit`: what header, body and protected TLVs may take together.
// Returns an enum reason: REASON_OK, REASON_NO_IMAGE, REASON_HEADER or REASON_TOO_LARGE.
uint8_t slot_image_header(const struct slot_image *image, uint32_t limit);
// The digest (SHA256 TLV) of the image in a slot of `size` bytes. NULL: there is no whole one.
const uint8_t *slot_image_digest(const struct slot_image *slot, uint32_t size);
// Bytes of the image that slot_image_digest() found.
uint32_t slot_image_size(const struct slot_image *slot);
// -1, 0, 1, as the version numbers compare without the build number, as mcumgr does.
int slot_image_compare(const struct slot_image *a, const struct slot_image *b);

#endif
