// SPDX-License-Identifier: Apache-2.0
// Entry point for libFuzzer: a host's whole conversation with recovery or with the manager, over a simulated board.
// Frames are made here, for no fuzzer finds a CRC: what is fuzzed is which commands come, their CBOR, and their order,
// also over resets. A packet of the input: which command, its payload's length (16 bits, little endian), the payload.
#include <stdlib.h>
#include <string.h>

#include "board_config.h"
#include "coffret/boot_services.h"
#include "coffret/crypto.h"
#include "coffret/flash.h"
#include "coffret/handoff.h"
#include "coffret/syscall.h"
#include "fuzzed_wire.h"
#include "smp/server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);
int simulated_map(void);
int simulated_run(int port, const struct boot_services *services, const struct identity *identity);

#define HEAD 3u
#define WRITES 0x80u
#define SECOND_VERSION 0x40u

static const uint8_t commands[][2] = {{0, 0},  {0, 5},  {0, 6},  {0, 8},  {1, 0},  {1, 1},  {1, 5},
                                      {64, 0}, {65, 0}, {65, 1}, {65, 2}, {66, 0}, {67, 0}};
#define COMMANDS (sizeof commands / sizeof commands[0])

static struct {
    const uint8_t *data;
    size_t length;
} host;

// The header of a request for the command of that number.
static void put_header(uint8_t *header, uint8_t first, size_t length) {
    const uint8_t *command = commands[first & 15u];
    header[0] = (uint8_t)((first & SECOND_VERSION ? 8u : 0u) | (first & WRITES ? 2u : 0u));
    header[1] = 0;
    header[2] = (uint8_t)(length >> 8);
    header[3] = (uint8_t)length;
    header[4] = 0;
    header[5] = command[0];
    header[6] = 7;
    header[7] = command[1];
}

// The next packet of the input, framed; behind a number that is no command's the header is the input's too.
bool wire_next(void) {
    static uint8_t message[SMP_BUFFER];
    if (host.length < HEAD) {
        return false;
    }
    const uint8_t *at = host.data;
    size_t length = (size_t)(at[1] | at[2] << 8);
    length = length < host.length - HEAD ? length : host.length - HEAD;
    length = length < SMP_BUFFER - SMP_HEADER ? length : SMP_BUFFER - SMP_HEADER;
    uint8_t *payload = message;
    if ((at[0] & 15u) < COMMANDS) {
        put_header(payload, at[0], length);
        payload += SMP_HEADER;
    }
    memcpy(payload, at + HEAD, length);
    wire_send(message, (size_t)(payload + length - message));
    host.data += HEAD + length;
    host.length -= HEAD + length;
    return true;
}

// What is complete passes, so that what comes behind the check is reached too.
static int check(uint32_t slot, const struct image_limits *limits, struct image_info *info) {
    memset(info, (int)limits->minimum_counter, sizeof *info);
    return slot < 2u ? 0 : 1;
}

// The running slot of a manager holds an image, which is what a delta starts from.
static void put_base(void) {
#ifdef BASE
    static const uint8_t base[] = {
#include "base_image.inc"
    };
    memcpy((uint8_t *)(uintptr_t)BOARD_FLASH_BASE + BOARD_SLOT_A_OFFSET, base, sizeof base);
#endif
}

static bool is_erased(uint32_t offset, uint32_t length) { return flash_is_blank(flash_address(offset), length); }

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length) {
    static const struct boot_services services = {
        BOOT_SERVICES_MAGIC, BOOT_SERVICES_VERSION, sha256_init, sha256_update, sha256_finish, NULL, check, NULL};
    static const struct identity identity;
    if (simulated_map() != 0) {
        abort();
    }
    put_base();
    host.data = data;
    host.length = length;
    int end;
    do {
        wire_start();
        end = simulated_run(0, &services, &identity);
    } while (end == SIMULATED_RESET);
    if (end != SIMULATED_CLOSED || !is_erased(BOARD_SECRETS_OFFSET, BOARD_SECRETS_SIZE)) {
        abort();
    }
    return 0;
}
