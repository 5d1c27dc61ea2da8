// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "simulated_hardware.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "board_config.h"
#include "coffret/flash.h"

#ifndef SIMULATED_BYTEWISE
#define SIMULATED_BYTEWISE 0
#endif

jmp_buf simulated_off;
static int port_file = -1;

void simulated_port(int port) { port_file = port; }

size_t simulated_read(uint8_t *data, size_t capacity) {
    // Byte by byte where a reset must not lose what follows it.
    ssize_t count = read(port_file, data, SIMULATED_BYTEWISE ? 1 : capacity);
    if (count <= 0) {
        longjmp(simulated_off, SIMULATED_CLOSED);
    }
    return (size_t)count;
}

size_t simulated_write(const uint8_t *data, size_t length) {
    for (size_t done = 0; done < length;) {
        ssize_t count = write(port_file, data + done, length - done);
        if (count <= 0) {
            longjmp(simulated_off, SIMULATED_CLOSED);
        }
        done += (size_t)count;
    }
    return length;
}

// Maps the flash, erased, and a page where boot is. 0 on success.
int simulated_map(void) {
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
    void *flash = (void *)(uintptr_t)BOARD_FLASH_BASE;
    void *boot = (void *)(uintptr_t)BOARD_BOOT_BASE;
    if (mmap(flash, BOARD_FLASH_SIZE, PROT_READ | PROT_WRITE, flags, -1, 0) != flash ||
        mmap(boot, 4096, PROT_READ | PROT_WRITE, flags, -1, 0) != boot) {
        return -1;
    }
    memset(flash, 0xFF, BOARD_FLASH_SIZE);
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
