// SPDX-License-Identifier: Apache-2.0
// The flash inside an STM32F405: sectors of unequal size (RM0090, table 5), programmed a word at a time. While it works the
// processor waits at its next fetch from it (section 3.5): a sector of 128 KiB takes one to two seconds, with interrupts
// and all (DS8626, table 41).
#include "flash_in_place.h"
#include "registers.h"
#include "stm32f4.h"

_Static_assert(BOARD_FLASH_PROGRAM_SIZE == 4u, "FLASH_CR_WORDS");

static const struct {
    uint32_t count, size;
} sectors[] = {BOARD_FLASH_SECTOR_TABLE};

static volatile uint32_t *words(uint32_t offset) { return (volatile uint32_t *)(BOARD_FLASH_BASE + offset); }

// True: the interface reports no error.
static bool wait(void) {
    while ((register_read(FLASH_SR) & FLASH_SR_BUSY) != 0u) {
    }
    return (register_read(FLASH_SR) & FLASH_SR_ERRORS) == 0u;
}

static void begin(void) {
    flash_unlock();
    (void)wait();
    register_write(FLASH_SR, FLASH_SR_ERRORS);
}

// The number of the sector that begins at `offset`, and its size; false: none does.
static bool sector_at(uint32_t offset, uint32_t *number, uint32_t *size) {
    uint32_t at = 0;
    *number = 0;
    for (uint32_t kind = 0; kind < sizeof sectors / sizeof *sectors; kind++) {
        for (uint32_t i = 0; i < sectors[kind].count; i++) {
            if (at == offset) {
                *size = sectors[kind].size;
                return true;
            }
            at += sectors[kind].size;
            (*number)++;
        }
    }
    return false;
}

static bool is_whole_sectors(uint32_t offset, size_t length) {
    uint32_t end = offset + length, number, size;
    while (offset < end) {
        if (!sector_at(offset, &number, &size) || size > end - offset) {
            return false;
        }
        offset += size;
    }
    return true;
}

static bool is_erased(uint32_t offset, uint32_t length) {
    for (uint32_t i = 0; i < length / 4u; i++) {
        if (words(offset)[i] != 0xFFFFFFFFu) {
            return false;
        }
    }
    return true;
}

// Section 3.6.3. What reads as erased is erased all the same: a power cut in an erase can leave bits that only seem to be.
int flash_erase(uint32_t offset, size_t length) {
    if (!in_flash(offset, length) || !is_whole_sectors(offset, length)) {
        return FLASH_RANGE;
    }
    uint32_t end = offset + length, number, size;
    while (offset < end && sector_at(offset, &number, &size)) {
        begin();
        register_write(FLASH_CR, FLASH_CR_ERASE_SECTOR | number << 3 | FLASH_CR_WORDS);
        register_write(FLASH_CR, FLASH_CR_ERASE_SECTOR | number << 3 | FLASH_CR_WORDS | FLASH_CR_START);
        cpu_data_barrier();
        bool good = wait();
        flash_lock();
        flash_forget_caches();
        if (!good || !is_erased(offset, size)) {
            return FLASH_FAILED;
        }
        offset += size;
    }
    return FLASH_OK;
}

static uint32_t word_of(const uint8_t *bytes) {
    uint32_t word;
    memcpy(&word, bytes, sizeof word);
    return word;
}

// Section 3.6.4. The part allows further zeros in a word that has some.
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
    begin();
    register_write(FLASH_CR, FLASH_CR_PROGRAM | FLASH_CR_WORDS);
    int result = FLASH_OK;
    for (size_t i = 0; i < length / 4u && result == FLASH_OK; i++) {
        uint32_t value = word_of(bytes + 4u * i);
        if (word[i] == value) {
            continue;
        }
        word[i] = value;
        cpu_data_barrier();
        if (!wait() || word[i] != value) {
            result = FLASH_FAILED;
        }
    }
    flash_lock();
    return result;
}
