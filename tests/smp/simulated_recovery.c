// SPDX-License-Identifier: Apache-2.0
// A board for recovery on the host: flash in memory at the board's own address, the port a file descriptor.
#define _GNU_SOURCE
#include <poll.h>
#include <setjmp.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "board_config.h"
#include "coffret/board.h"
#include "coffret/flash.h"
#include "coffret/recovery.h"

static struct {
    int port;
    jmp_buf reset;
    struct store store;
    struct recovery_facts facts;
} simulated;

// Maps the flash, erased. 0 on success.
int simulated_flash_map(void) {
    void *at = (void *)(uintptr_t)BOARD_FLASH_BASE;
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
    if (mmap(at, BOARD_FLASH_SIZE, PROT_READ | PROT_WRITE, flags, -1, 0) != at) {
        return -1;
    }
    memset(at, 0xFF, BOARD_FLASH_SIZE);
    return 0;
}

const uint8_t *flash_address(uint32_t offset) {
    return offset <= BOARD_FLASH_SIZE ? (const uint8_t *)(uintptr_t)(BOARD_FLASH_BASE + offset) : NULL;
}

static int check(uint32_t offset, size_t length, uint32_t unit) {
    return offset > BOARD_FLASH_SIZE || length > BOARD_FLASH_SIZE - offset ||
                   (offset | length) % unit != 0
               ? FLASH_RANGE
               : FLASH_OK;
}

int flash_erase(uint32_t offset, size_t length) {
    int error = check(offset, length, BOARD_FLASH_ERASE_SIZE);
    if (error == 0) {
        memset((void *)flash_address(offset), 0xFF, length);
    }
    return error;
}

int flash_program(uint32_t offset, const void *data, size_t length) {
    int error = check(offset, length, BOARD_FLASH_PROGRAM_SIZE);
    uint8_t *at = (uint8_t *)flash_address(offset);
    const uint8_t *bytes = data;
    for (size_t i = 0; error == 0 && i < length; i++) {
        error = (bytes[i] & ~at[i]) != 0 ? FLASH_NOT_ERASED : FLASH_OK;
    }
    if (error == 0) {
        memcpy(at, data, length);
    }
    return error;
}

size_t board_port_read(uint8_t *data, size_t capacity) {
    struct pollfd wait = {.fd = simulated.port, .events = POLLIN};
    if (poll(&wait, 1, 100) <= 0) {
        return 0;
    }
    ssize_t count = read(simulated.port, data, capacity);
    if (count <= 0) {
        longjmp(simulated.reset, 2); // the host has gone
    }
    return (size_t)count;
}

size_t board_port_write(const uint8_t *data, size_t length) {
    for (size_t done = 0; done < length;) {
        ssize_t count = write(simulated.port, data + done, length - done);
        if (count <= 0) {
            longjmp(simulated.reset, 2);
        }
        done += (size_t)count;
    }
    return length;
}

void board_port_flush(void) {}
void board_watchdog_feed(void) {}
void board_reset(void) { longjmp(simulated.reset, 1); }

// Runs until it resets the board (1) or the port is closed (2).
int simulated_recovery(int port, const struct boot_services *services, const struct identity *identity) {
    simulated.port = port;
    store_open(&simulated.store, BOARD_STORE_OFFSET, BOARD_STORE_BANK_SIZE);
    simulated.facts.store = &simulated.store;
    simulated.facts.services = services;
    simulated.facts.identity = *identity;
    int result = setjmp(simulated.reset);
    if (result == 0) {
        recovery_run(&simulated.facts);
    }
    return result;
}
