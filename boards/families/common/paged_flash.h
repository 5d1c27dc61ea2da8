// SPDX-License-Identifier: Apache-2.0
// coffret/flash.h over a serial NOR chip that is read in place and programmed page by page, but for erasing, which goes by
// sectors here and by blocks there. Included by the file that defines `program_in_page`, and nowhere else.
#ifndef PAGED_FLASH_H
#define PAGED_FLASH_H

#include "flash_in_place.h"

#define PAGE 256u // the most one command programs, and never across its border

// `length` bytes of one page; comes back when they can be read. FLASH_OK, or FLASH_FAILED: they are not there.
static int program_in_page(uint32_t offset, const uint8_t *data, size_t length);

static bool can_erase(uint32_t offset, size_t length) {
    return in_flash(offset, length) && (offset | length) % BOARD_FLASH_ERASE_SIZE == 0u;
}

// The compiler sees nobody change what is read in place.
static bool is_erased(uint32_t offset, uint32_t length) {
    const volatile uint32_t *word = (const volatile uint32_t *)flash_address(offset);
    for (uint32_t i = 0; i < length / 4u; i++) {
        if (word[i] != 0xFFFFFFFFu) {
            return false;
        }
    }
    return true;
}

int flash_program(uint32_t offset, const void *data, size_t length) {
    if (!in_flash(offset, length) || (offset | length) % BOARD_FLASH_PROGRAM_SIZE != 0u) {
        return FLASH_RANGE;
    }
    const uint8_t *bytes = data;
    const uint8_t *now = flash_address(offset);
    // All is looked at before anything is written: a refused call changes nothing.
    for (size_t i = 0; i < length; i++) {
        if ((bytes[i] & ~now[i]) != 0) {
            return FLASH_NOT_ERASED;
        }
    }
    while (length != 0u) {
        size_t part = PAGE - offset % PAGE;
        if (part > length) {
            part = length;
        }
        int result = program_in_page(offset, bytes, part);
        if (result != FLASH_OK) {
            return result;
        }
        offset += part;
        bytes += part;
        length -= part;
    }
    return FLASH_OK;
}

#endif
