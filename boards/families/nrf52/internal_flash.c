// SPDX-License-Identifier: Apache-2.0
// The flash inside an nRF52833 (section 4.3): pages of 4 KiB, programmed a word at a time, each word at most twice between
// erases. While it works the processor waits at its next fetch from it: a page takes up to 87.5 ms, interrupts and all.
#include "flash_in_place.h"
#include "nrf52.h"

_Static_assert(BOARD_FLASH_PROGRAM_SIZE == 4u, "nvmc_write");

static uint32_t word_at(uint32_t offset) { return register_read(BOARD_FLASH_BASE + offset); }

static uint32_t word_of(const uint8_t *bytes) {
    uint32_t word;
    memcpy(&word, bytes, sizeof word);
    return word;
}

static bool is_erased(uint32_t offset, uint32_t length) {
    for (uint32_t i = 0; i < length; i += 4u) {
        if (word_at(offset + i) != 0xFFFFFFFFu) {
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
    for (uint32_t end = offset + length; offset < end; offset += BOARD_FLASH_ERASE_SIZE) {
        nvmc_mode(NVMC_ERASE);
        nvmc_erase_page(BOARD_FLASH_BASE + offset);
        nvmc_mode(NVMC_READ);
        if (!is_erased(offset, BOARD_FLASH_ERASE_SIZE)) {
            return FLASH_FAILED; // an access control list forbids it, or the part is worn out
        }
    }
    return FLASH_OK;
}

int flash_program(uint32_t offset, const void *data, size_t length) {
    if (!in_flash(offset, length) || (offset | length) % BOARD_FLASH_PROGRAM_SIZE != 0u) {
        return FLASH_RANGE;
    }
    const uint8_t *bytes = data;
    // All is looked at before anything is written: a refused call changes nothing.
    for (uint32_t i = 0; i < length; i += 4u) {
        if ((word_of(bytes + i) & ~word_at(offset + i)) != 0u) {
            return FLASH_NOT_ERASED;
        }
    }
    nvmc_mode(NVMC_WRITE);
    int result = FLASH_OK;
    for (uint32_t i = 0; i < length && result == FLASH_OK; i += 4u) {
        uint32_t value = word_of(bytes + i);
        if (word_at(offset + i) != value) {
            nvmc_write(BOARD_FLASH_BASE + offset + i, value);
            result = word_at(offset + i) == value ? FLASH_OK : FLASH_FAILED;
        }
    }
    nvmc_mode(NVMC_READ);
    return result;
}
