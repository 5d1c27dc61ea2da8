// SPDX-License-Identifier: Apache-2.0
// A serial NOR flash by its common command set (JEDEC JESD216; Winbond W25Q80BL data sheet, section 7.2): sectors of 4 KiB,
// pages of 256 bytes, and a status to ask until the chip is done. Read in place, through the controller's window.
#include "../common/paged_flash.h"
#include "fmc.h"

#define COMMAND_PAGE_PROGRAM 0x02u
#define COMMAND_READ_STATUS 0x05u
#define COMMAND_WRITE_ENABLE 0x06u
#define COMMAND_SECTOR_ERASE 0x20u
#define STATUS_BUSY 1u
#define STATUS_WRITE_ENABLED 2u

_Static_assert(BOARD_FLASH_ERASE_SIZE == 0x1000u, "COMMAND_SECTOR_ERASE");

static uint8_t status(void) {
    spi_select();
    spi_send(COMMAND_READ_STATUS);
    uint8_t bits = spi_receive();
    spi_release();
    return bits;
}

static void command_at(uint8_t command, uint32_t offset) {
    spi_send(command);
    spi_send((uint8_t)(offset >> 16));
    spi_send((uint8_t)(offset >> 8));
    spi_send((uint8_t)offset);
}

// False: the chip did not take it, so it is protected, or not there.
static bool enable_write(void) {
    spi_start();
    spi_select();
    spi_send(COMMAND_WRITE_ENABLE);
    spi_release();
    return (status() & (STATUS_WRITE_ENABLED | STATUS_BUSY)) == STATUS_WRITE_ENABLED;
}

static void wait(void) {
    while ((status() & STATUS_BUSY) != 0u) {
    }
}

// What reads as erased is erased all the same: a power cut in an erase can leave bits that only seem to be.
int flash_erase(uint32_t offset, size_t length) {
    if (!can_erase(offset, length)) {
        return FLASH_RANGE;
    }
    for (uint32_t end = offset + length; offset < end; offset += BOARD_FLASH_ERASE_SIZE) {
        if (!enable_write()) {
            return FLASH_FAILED;
        }
        spi_select();
        command_at(COMMAND_SECTOR_ERASE, offset);
        spi_release();
        wait();
        if (!is_erased(offset, BOARD_FLASH_ERASE_SIZE)) {
            return FLASH_FAILED;
        }
    }
    return FLASH_OK;
}

// At most to the end of a page: behind it the chip would begin at the page's start again.
static int program_in_page(uint32_t offset, const uint8_t *data, size_t length) {
    if (!enable_write()) {
        return FLASH_FAILED;
    }
    spi_select();
    command_at(COMMAND_PAGE_PROGRAM, offset);
    for (size_t i = 0; i < length; i++) {
        spi_send(data[i]);
    }
    spi_release();
    wait();
    return memcmp(flash_address(offset), data, length) == 0 ? FLASH_OK : FLASH_FAILED;
}
