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
#include "simulated_hardware.h"
#include "smp/server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);
int simulated_map(void);
int simulated_run(int port, const struct boot_services *services, const struct identity *identity);

#define HEAD 3u
#define WRITES 0x80u
#define SECOND_VERSION 0x40u
#define LINE 124u // base64 digits

static const uint8_t commands[][2] = {{0, 0},  {0, 5},  {0, 6},  {0, 8},  {1, 0},  {1, 1},  {1, 5},
                                      {64, 0}, {65, 0}, {65, 1}, {65, 2}, {66, 0}, {67, 0}};
#define COMMANDS (sizeof commands / sizeof commands[0])

static struct {
    const uint8_t *data;
    size_t length;
    uint8_t line[2u * SMP_BUFFER]; // what the port has still to give
    size_t at, end;
} host;

static uint16_t crc16(const uint8_t *data, size_t length) {
    uint32_t crc = 0;
    for (size_t i = 0; i < length * 8u; i++) {
        uint32_t bit = data[i / 8u] >> (7u - i % 8u) & 1u;
        crc = crc << 1 ^ ((crc >> 15 ^ bit) & 1u ? 0x1021u : 0u);
    }
    return (uint16_t)crc;
}

// One frame as lines of the SMP console (Zephyr: "SMP over console").
static void send_frame(const uint8_t *frame, size_t length) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    host.at = host.end = 0;
    for (size_t bit = 0; bit < length * 8u; bit += 6u) {
        if (bit % (LINE * 6u) == 0) {
            memcpy(host.line + host.end, bit == 0 ? "\n\x06\x09" : "\n\x04\x14", 3);
            host.end += 3u;
        }
        uint32_t word = (uint32_t)frame[bit / 8u] << 8;
        word |= bit / 8u + 1u < length ? frame[bit / 8u + 1u] : 0u;
        host.line[host.end++] = (uint8_t)digits[word >> (10u - bit % 8u) & 63u];
    }
    host.line[host.end++] = '\n';
}

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

// The next packet of the input, framed; behind a number that is no command's the header is the input's too. False: that
// was all.
static bool next_packet(void) {
    static uint8_t frame[SMP_BUFFER + 16u];
    if (host.length < HEAD) {
        return false;
    }
    const uint8_t *at = host.data;
    size_t length = (size_t)(at[1] | at[2] << 8);
    length = length < host.length - HEAD ? length : host.length - HEAD;
    length = length < SMP_BUFFER - SMP_HEADER ? length : SMP_BUFFER - SMP_HEADER;
    uint8_t *payload = frame + 2;
    if ((at[0] & 15u) < COMMANDS) {
        put_header(payload, at[0], length);
        payload += SMP_HEADER;
    }
    memcpy(payload, at + HEAD, length);
    uint8_t *end = payload + length;
    uint16_t size = (uint16_t)(end - frame); // without its own two bytes, with the two of the CRC
    frame[0] = (uint8_t)(size >> 8);
    frame[1] = (uint8_t)size;
    uint16_t crc = crc16(frame + 2, size - 2u);
    *end++ = (uint8_t)(crc >> 8);
    *end++ = (uint8_t)crc;
    send_frame(frame, (size_t)(end - frame));
    host.data += HEAD + length;
    host.length -= HEAD + length;
    return true;
}

void simulated_port(int port) { (void)port; }

size_t simulated_read(uint8_t *data, size_t capacity) {
    if (host.at == host.end && !next_packet()) {
        longjmp(simulated_off, SIMULATED_CLOSED);
    }
    size_t count = host.end - host.at < capacity ? host.end - host.at : capacity;
    memcpy(data, host.line + host.at, count);
    host.at += count;
    return count;
}

size_t simulated_write(const uint8_t *data, size_t length) {
    static volatile uint8_t sink;
    for (size_t i = 0; i < length; i++) {
        sink = data[i]; // the sanitizers see what is read
    }
    return length;
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
        host.at = host.end = 0;
        end = simulated_run(0, &services, &identity);
    } while (end == SIMULATED_RESET);
    if (end != SIMULATED_CLOSED || !is_erased(BOARD_SECRETS_OFFSET, BOARD_SECRETS_SIZE)) {
        abort();
    }
    return 0;
}
