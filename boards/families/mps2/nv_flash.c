// SPDX-License-Identifier: Apache-2.0
// The board's PSRAM as NOR flash: whole erase blocks go to 0xFF, programming only clears bits. The part would
// allow more; the driver does not, so that whatever runs here also runs on a real flash.
#include "flash_in_place.h"

static volatile uint32_t *words(uint32_t offset) { return (volatile uint32_t *)(BOARD_FLASH_BASE + offset); }

int flash_erase(uint32_t offset, size_t length) {
    if (!in_flash(offset, length) || (offset | length) % BOARD_FLASH_ERASE_SIZE != 0u) {
        return FLASH_RANGE;
    }
    volatile uint32_t *word = words(offset);
    for (size_t i = 0; i < length / 4u; i++) {
        word[i] = 0xFFFFFFFFu;
    }
    return FLASH_OK;
}

static uint32_t word_of(const uint8_t *bytes) {
    uint32_t word;
    memcpy(&word, bytes, sizeof word);
    return word;
}

int flash_program(uint32_t offset, const void *data, size_t length) {
    if (!in_flash(offset, length) || (offset | length) % BOARD_FLASH_PROGRAM_SIZE != 0u) {
        return FLASH_RANGE;
    }
    const uint8_t *bytes = data;
    volatile uint32_t *word = words(offset);
    // All is looked at before anything is written: a refused call changes nothing.
    for (size_t i = 0; i < length / 4u; i++) {
        if ((word_of(bytes + 4u * i) & ~word[i]) != 0u) {
            return FLASH_NOT_ERASED;
        }
    }
    for (size_t i = 0; i < length / 4u; i++) {
        uint32_t value = word_of(bytes + 4u * i);
        word[i] = value;
        if (word[i] != value) {
            return FLASH_FAILED;
        }
    }
    return FLASH_OK;
}
