// SPDX-License-Identifier: Apache-2.0
// coffret/flash.h over two commands of a boot ROM, erase and program, which the part's own xip_flash.c defines. Included
// there and nowhere else: RP2040 and RP2350 differ in how a command is run, not in what a flash is.
#ifndef RP2_ROM_FLASH_H
#define RP2_ROM_FLASH_H

#include "../common/paged_flash.h"
#include "coffret/section.h"

#define BLOCK 0x10000u          // what the ROM erases at once where it can
#define BLOCK_ERASE 0xD8u

// Whole blocks; one whole page. They come back when the flash can be read again.
static void rom_erase(uint32_t offset, uint32_t length);
static void rom_program(uint32_t offset, const uint8_t *data);

MONITOR_BSS static uint8_t page[PAGE];

// What reads as erased is erased all the same: a power cut in an erase can leave bits that only seem to be.
int flash_erase(uint32_t offset, size_t length) {
    if (!can_erase(offset, length)) {
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

// Around what is written the page is programmed as 0xFF, which changes nothing.
static int program_in_page(uint32_t offset, const uint8_t *data, size_t length) {
    memset(page, 0xFF, sizeof page);
    memcpy(page + offset % PAGE, data, length);
    rom_program(offset - offset % PAGE, page);
    return memcmp(flash_address(offset), data, length) == 0 ? FLASH_OK : FLASH_FAILED;
}

#endif
