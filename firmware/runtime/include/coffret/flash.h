// SPDX-License-Identifier: Apache-2.0
// The NV flash of the board. Offsets count from its start (BOARD_FLASH_BASE in board_config.h).
#ifndef COFFRET_FLASH_H
#define COFFRET_FLASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The geometry is the board's: board_config.h has BOARD_FLASH_SIZE, BOARD_FLASH_ERASE_SIZE (bytes of an
// erase block) and BOARD_FLASH_PROGRAM_SIZE (bytes of the smallest program operation).
enum flash_error {
    FLASH_OK = 0,
    FLASH_RANGE = -1,   // outside the flash, or not aligned to the erase block or the program size
    FLASH_NOT_ERASED = -2, // the operation would have to turn a 0 into a 1
    FLASH_FAILED = -3   // the part reports failure, or the bytes read back differ
};

// Copy `length` bytes from `offset`. Any alignment. 0 or a negative enum flash_error.
int flash_read(uint32_t offset, void *data, size_t length);

// Set whole erase blocks to 0xFF. `offset` and `length` are multiples of BOARD_FLASH_ERASE_SIZE.
int flash_erase(uint32_t offset, size_t length);

// Clear bits: what is programmed may only turn 1 into 0, else nothing is written and FLASH_NOT_ERASED
// returned. `offset` and `length` are multiples of BOARD_FLASH_PROGRAM_SIZE; `data` has any alignment and
// must not lie in the flash itself. Read back and compared.
int flash_program(uint32_t offset, const void *data, size_t length);

// Where the flash can be read in place. `offset` <= BOARD_FLASH_SIZE, else NULL.
const uint8_t *flash_address(uint32_t offset);

// Nothing but 0xFF? (store/blank.c)
bool flash_is_blank(const uint8_t *bytes, size_t length);

// Erases blocks unless all of them are blank: after a cut it is simply asked again.
static inline int flash_erase_written(uint32_t offset, size_t length) {
    return flash_is_blank(flash_address(offset), length) ? FLASH_OK : flash_erase(offset, length);
}

#endif
