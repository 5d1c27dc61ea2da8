// SPDX-License-Identifier: Apache-2.0
#include "fuzzed_wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "smp/server.h"

#define LINE 124u // base64 digits

static struct {
    uint8_t line[2u * SMP_BUFFER]; // what the port has still to give
    size_t at, end;
    uint8_t reply[2u * SMP_BUFFER]; // a frame, as far as it came
    size_t taken;
    uint32_t bits, digits;
    char before;    // in the reply's lines
    bool in_line;
} wire;

_Noreturn void wire_broken(const char *file, int line, const char *claim) {
    fprintf(stderr, "%s:%d: broken: %s\n", file, line, claim);
    abort();
}

void wire_start(void) { memset(&wire, 0, sizeof wire); }

static uint16_t crc16(const uint8_t *data, size_t length) {
    uint32_t crc = 0;
    for (size_t i = 0; i < length * 8u; i++) {
        uint32_t bit = data[i / 8u] >> (7u - i % 8u) & 1u;
        crc = crc << 1 ^ ((crc >> 15 ^ bit) & 1u ? 0x1021u : 0u);
    }
    return (uint16_t)crc;
}

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void wire_send(const uint8_t *message, size_t length) {
    static uint8_t frame[SMP_BUFFER + 16u];
    size_t size = length + 2u; // without its own two bytes, with the two of the CRC
    frame[0] = (uint8_t)(size >> 8);
    frame[1] = (uint8_t)size;
    memcpy(frame + 2, message, length);
    uint16_t crc = crc16(message, length);
    frame[2 + length] = (uint8_t)(crc >> 8);
    frame[3 + length] = (uint8_t)crc;
    frame[4 + length] = 0;
    wire_start();
    for (size_t bit = 0; bit < (length + 4u) * 8u; bit += 6u) {
        if (bit % (LINE * 6u) == 0) {
            memcpy(wire.line + wire.end, bit == 0 ? "\n\x06\x09" : "\n\x04\x14", 3);
            wire.end += 3u;
        }
        uint32_t word = (uint32_t)frame[bit / 8u] << 8 | frame[bit / 8u + 1u];
        wire.line[wire.end++] = (uint8_t)digits[word >> (10u - bit % 8u) & 63u];
    }
    wire.line[wire.end++] = '\n';
}

// One character of the reply's lines.
static void take(char character) {
    if (!wire.in_line) {
        if (character == '\x06' || character == '\x04') {
            MUST(character == (wire.taken == 0 ? '\x06' : '\x04')); // one frame, its first line first
        } else {
            MUST(character == (wire.before == '\x06' ? '\x09' : '\x14'));
            wire.in_line = true;
        }
        wire.before = character;
        wire.digits = 0;
        return;
    }
    if (character == '\n') {
        MUST(wire.digits % 4u == 0);
        wire.in_line = false;
        return;
    }
    const char *digit = character == '=' ? digits : strchr(digits, character);
    MUST(digit != NULL && ++wire.digits <= LINE);
    wire.bits = wire.bits << 6 | (uint32_t)(digit - digits);
    if (wire.digits % 4u == 0) {
        for (int shift = 16; shift >= 0; shift -= 8) {
            wire.reply[wire.taken++] = (uint8_t)(wire.bits >> shift);
        }
    }
}

const uint8_t *wire_reply(size_t *length) {
    if (wire.taken == 0) {
        return NULL;
    }
    size_t size = (size_t)(wire.reply[0] << 8 | wire.reply[1]);
    MUST(!wire.in_line && size > 2u && size <= SMP_BUFFER); // a host's buffer, CRC and all (os/params)
    MUST(wire.taken >= size + 2u && wire.taken < size + 5u); // filled up to three bytes
    *length = size - 2u;
    MUST(crc16(wire.reply + 2, size) == 0);
    return wire.reply + 2;
}

void simulated_port(int port) { (void)port; }

size_t simulated_read(uint8_t *data, size_t capacity) {
    if (wire.at == wire.end && !wire_next()) {
        longjmp(simulated_off, SIMULATED_CLOSED);
    }
    size_t count = wire.end - wire.at < capacity ? wire.end - wire.at : capacity;
    memcpy(data, wire.line + wire.at, count);
    wire.at += count;
    return count;
}

size_t simulated_write(const uint8_t *data, size_t length) {
    MUST(length <= LINE + 3u);
    for (size_t i = 0; i < length; i++) {
        MUST(wire.taken < sizeof wire.reply - 3u);
        take((char)data[i]);
    }
    return length;
}
