// SPDX-License-Identifier: Apache-2.0
// A flash in RAM whose power can be cut at any step: a step is one program unit, or one block of an erase.
#include <setjmp.h>
#include <stdbool.h>
#include <string.h>

#include "board_config.h"
#include "coffret/flash.h"
#include "coffret/store.h"

enum cut { CUT_BEFORE = 0, CUT_TORN = 1, CUT_AFTER = 2 };

static struct {
    uint8_t bytes[BOARD_FLASH_SIZE];
    int steps;          // done since simulated_arm
    int cut_at;         // step number, -1: never
    enum cut cut;
    uint32_t random;    // decides which bits of a torn step are done
    int fail_at;        // the flash reports failure at this step, -1: never; with CUT_AFTER it did the work
    jmp_buf off;
} simulated;

static uint32_t next_random(void) { // xorshift32
    simulated.random ^= simulated.random << 13;
    simulated.random ^= simulated.random >> 17;
    simulated.random ^= simulated.random << 5;
    return simulated.random;
}

// One step that turns `length` bytes at `at` into `wanted`. False: the flash says it failed.
static bool step(uint32_t at, const uint8_t *wanted, size_t length) {
    if (simulated.steps == simulated.fail_at) {
        if (simulated.cut == CUT_AFTER) {
            memcpy(simulated.bytes + at, wanted, length);
        }
        return false;
    }
    if (simulated.steps++ != simulated.cut_at) {
        memcpy(simulated.bytes + at, wanted, length);
        return true;
    }
    for (size_t i = 0; i < length && simulated.cut != CUT_BEFORE; i++) {
        uint8_t done = simulated.cut == CUT_AFTER ? 0xFF : (uint8_t)(next_random() >> 11);
        uint8_t old = simulated.bytes[at + i];
        simulated.bytes[at + i] = (uint8_t)((old & ~done) | (wanted[i] & done));
    }
    longjmp(simulated.off, 1);
}

const uint8_t *flash_address(uint32_t offset) {
    return offset <= BOARD_FLASH_SIZE ? simulated.bytes + offset : NULL;
}

int flash_erase(uint32_t offset, size_t length) {
    static const uint8_t erased[BOARD_FLASH_ERASE_SIZE] = {[0 ... BOARD_FLASH_ERASE_SIZE - 1] = 0xFF};
    if (offset > BOARD_FLASH_SIZE || length > BOARD_FLASH_SIZE - offset ||
        (offset | length) % BOARD_FLASH_ERASE_SIZE != 0) {
        return FLASH_RANGE;
    }
    for (; length > 0; length -= BOARD_FLASH_ERASE_SIZE, offset += BOARD_FLASH_ERASE_SIZE) {
        if (!step(offset, erased, sizeof erased)) {
            return FLASH_FAILED;
        }
    }
    return FLASH_OK;
}

int flash_program(uint32_t offset, const void *data, size_t length) {
    const uint8_t *bytes = data;
    if (offset > BOARD_FLASH_SIZE || length > BOARD_FLASH_SIZE - offset ||
        (offset | length) % BOARD_FLASH_PROGRAM_SIZE != 0) {
        return FLASH_RANGE;
    }
    for (size_t i = 0; i < length; i++) {
        if ((bytes[i] & ~simulated.bytes[offset + i]) != 0) {
            return FLASH_NOT_ERASED;
        }
    }
    for (size_t i = 0; i < length; i += BOARD_FLASH_PROGRAM_SIZE) {
        if (!step(offset + (uint32_t)i, bytes + i, BOARD_FLASH_PROGRAM_SIZE)) {
            return FLASH_FAILED;
        }
    }
    return FLASH_OK;
}

uint8_t *simulated_bytes(void) { return simulated.bytes; }

void simulated_arm(int cut_at, int cut, uint32_t random, int fail_at) {
    simulated.steps = 0;
    simulated.cut_at = cut_at;
    simulated.cut = (enum cut)cut;
    simulated.random = random | 1u;
    simulated.fail_at = fail_at;
}

int simulated_steps(void) { return simulated.steps; }

#define POWER_CUT 99

int simulated_put(struct store *store, uint8_t key, const void *data, size_t length) {
    if (setjmp(simulated.off) != 0) {
        return POWER_CUT;
    }
    return store_put(store, key, data, length);
}
