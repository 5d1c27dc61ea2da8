// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "simulated_hardware.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "board_config.h"
#include "coffret/flash.h"

jmp_buf simulated_off;

// A file of erased bytes, of the flash's size; -1: there is none.
static int erased_file(void) {
    static int file = -1;
    uint8_t block[4096];
    if (file >= 0) {
        return file;
    }
    file = memfd_create("erased", MFD_CLOEXEC);
    memset(block, 0xFF, sizeof block);
    for (uint32_t at = 0; at < BOARD_FLASH_SIZE; at += sizeof block) {
        if (write(file, block, sizeof block) != (ssize_t)sizeof block) {
            return -1;
        }
    }
    return file;
}

// Maps the flash, erased, and a page where boot is; whatever was there is gone. 0 on success.
int simulated_map(void) {
    void *flash = (void *)(uintptr_t)BOARD_FLASH_BASE;
    void *boot = (void *)(uintptr_t)BOARD_BOOT_BASE;
    int access = PROT_READ | PROT_WRITE, flags = MAP_PRIVATE | MAP_FIXED;
    if (mmap(flash, BOARD_FLASH_SIZE, access, flags, erased_file(), 0) != flash ||
        mmap(boot, 4096, access, flags | MAP_ANONYMOUS, -1, 0) != boot) {
        return -1;
    }
    return 0;
}

const uint8_t *flash_address(uint32_t offset) {
    return offset <= BOARD_FLASH_SIZE ? (const uint8_t *)(uintptr_t)(BOARD_FLASH_BASE + offset) : NULL;
}

static int check(uint32_t offset, size_t length, uint32_t unit) {
    if (offset > BOARD_FLASH_SIZE || length > BOARD_FLASH_SIZE - offset || (offset | length) % unit != 0) {
        return FLASH_RANGE;
    }
    return FLASH_OK;
}

int flash_erase(uint32_t offset, size_t length) {
    int error = check(offset, length, BOARD_FLASH_ERASE_SIZE);
    if (error == FLASH_OK) {
        memset((void *)flash_address(offset), 0xFF, length);
    }
    return error;
}

int flash_program(uint32_t offset, const void *data, size_t length) {
    int error = check(offset, length, BOARD_FLASH_PROGRAM_SIZE);
    uint8_t *at = (uint8_t *)flash_address(offset);
    const uint8_t *bytes = data;
    for (size_t i = 0; error == FLASH_OK && i < length; i++) {
        error = (bytes[i] & ~at[i]) != 0 ? FLASH_NOT_ERASED : FLASH_OK;
    }
    if (error == FLASH_OK) {
        memcpy(at, data, length);
    }
    return error;
}
