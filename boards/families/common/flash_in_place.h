// SPDX-License-Identifier: Apache-2.0
// The reading half of coffret/flash.h over a flash that the processor sees in its address space. Included by the one file
// of a family that erases and programs it, and nowhere else.
#ifndef FLASH_IN_PLACE_H
#define FLASH_IN_PLACE_H

#include <stdbool.h>
#include <string.h>

#include "board_config.h"
#include "coffret/flash.h"

static bool in_flash(uint32_t offset, size_t length) {
    return offset <= BOARD_FLASH_SIZE && length <= BOARD_FLASH_SIZE - offset;
}

const uint8_t *flash_address(uint32_t offset) {
    return offset <= BOARD_FLASH_SIZE ? (const uint8_t *)(uintptr_t)(BOARD_FLASH_BASE + offset) : NULL;
}

int flash_read(uint32_t offset, void *data, size_t length) {
    if (!in_flash(offset, length)) {
        return FLASH_RANGE;
    }
    memcpy(data, flash_address(offset), length);
    return FLASH_OK;
}

#endif
