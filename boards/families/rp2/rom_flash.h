// SPDX-License-Identifier: Apache-2.0
// coffret/flash.h over two commands of a boot ROM, erase and program, which the part's own xip_flash.c defines. Included
// there and nowhere else: RP2040 and RP2350 differ in how a command is run, not in what a flash is.
#ifndef RP2_ROM_FLASH_H
#define RP2_ROM_FLASH_H

#include <stdbool.h>
#include <string.h>

#include "board_config.h"
#include "coffret/flash.h"
#include "coffret/section.h"

#define PAGE 256u               // the most one program command writes, and never across its border
#define BLOCK 0x10000u          // what the ROM erases at once where it can
#define BLOCK_ERASE 0xD8u

// Whole blocks; one whole page. They come back when the flash can be read again.
static void rom_erase(uint32_t offset, uint32_t length);
static void rom_program(uint32_t offset, const uint8_t *data);

MONITOR_BSS static uint8_t page[PAGE];

static bool in_flash(uint32_t offset, size_t length) {
    return offset <= BOARD_FLASH_SIZE && length <= BOARD_FLASH_SIZE - offset;
}

const uint8_t *flash_address(uint32_t offset) {
    return offset <= BOARD_FLASH_SIZE ? (const uint8_t *)(BOARD_FLASH_BASE + offset) : NULL;
}

int flash_read(uint32_t offset, void *data, size_t length) {
    if (!in_flash(offset, length)) {
        return FLASH_RANGE;
    }
    memcpy(data, flash_address(offset), length);
    return FLASH_OK;
}

static bool is_erased(uint32_t offset, uint32_t length) {
    const uint32_t *word = (const uint32_t *)flash_address(offset);
    for (uint32_t i = 0; i < length / 4u; i++) {
        if (word[i] != 0xFFFFFFFFu) {
            return false;
        }
    }
    return true;
}

// What reads as erased is erased all the same: a power cut in an erase can leave bits that only seem to be.
int flash_erase(uint32_t offset, size_t length) {
    if (!in_flash(offset, length) || (offset | length) % BOARD_FLASH_ERASE_SIZE != 0u) {
        return FLASH_RANGE;
    }
    while (length != 0u) {
        uint32_t part = offset % BLOCK == 0u && length >= BLOCK ? BLOCK : BOARD_FLASH_ERASE_SIZE;
        rom_erase(offset, part);
        if (!is_erased(offset, part)) {
            return FLASH_FAILED;
        }
        offset += part;
        length -= part;
    }
    return FLASH_OK;
}

// `length` bytes of one page. What stands around them is programmed as 0xFF, which changes nothing.
static int program_in_page(uint32_t offset, const uint8_t *data, size_t length) {
    memset(page, 0xFF, sizeof page);
    memcpy(page + offset % PAGE, data, length);
    rom_program(offset - offset % PAGE, page);
    return memcmp(flash_address(offset), data, length) == 0 ? FLASH_OK : FLASH_FAILED;
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
