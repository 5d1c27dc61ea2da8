// SPDX-License-Identifier: Apache-2.0
#include "smp/frame.h"

#include "smp/backend.h"

enum { FIRST_1 = 0x06, FIRST_2 = 0x09, MORE_1 = 0x04, MORE_2 = 0x14 };

// 2 bytes of marker, 124 base64 digits, newline: 127.
#define LINE_DIGITS 124u

static uint16_t crc16(const uint8_t *data, size_t length) { // CRC-16/XMODEM: polynomial 0x1021, start 0
    uint32_t crc = 0;
    while (length-- > 0u) {
        crc ^= (uint32_t)*data++ << 8;
        for (int bit = 0; bit < 8; bit++) {
            crc <<= 1;
            if ((crc & 0x10000u) != 0u) {
                crc ^= 0x11021u;
            }
        }
    }
    return (uint16_t)crc;
}

static uint8_t base64_digit(uint32_t value) {
    if (value < 52u) {
        return (uint8_t)(value < 26u ? 'A' + value : 'a' + value - 26u);
    }
    return (uint8_t)(value < 62u ? '0' + value - 52u : value == 62u ? '+' : '/');
}

// The value of a base64 digit, or 64 and more.
static uint32_t base64_value(uint32_t digit) {
    uint32_t value = digit >= 'a' ? digit - 'a' + 26u : digit >= 'A' ? digit - 'A' : digit >= '0' ? digit - '0' + 52u
                     : digit == '+' ? 62u : 63u;
    return value < 64u && base64_digit(value) == digit ? value : 64u; // between the letters there are other characters
}

static uint16_t load16(const uint8_t *bytes) { return (uint16_t)(bytes[0] << 8 | bytes[1]); }

static void save16(uint8_t *bytes, uint32_t value) {
    bytes[0] = (uint8_t)(value >> 8);
    bytes[1] = (uint8_t)value;
}

// ---- receiving ----

void smp_framer_start(struct smp_framer *framer, uint8_t *buffer, uint16_t capacity) {
    *framer = (struct smp_framer){.buffer = buffer, .capacity = capacity};
}

// False: more than the frame's own length, or than the buffer holds.
static bool take(struct smp_framer *framer, uint8_t byte) {
    if (framer->length == framer->expected) {
        return false;
    }
    framer->buffer[framer->length++] = byte;
    if (framer->length == SMP_FRAME_HEAD) {
        uint32_t rest = load16(framer->buffer);
        framer->expected = (uint16_t)(SMP_FRAME_HEAD + rest);
        return rest > SMP_FRAME_CRC && rest <= framer->capacity;
    }
    return true;
}

static size_t end_line(struct smp_framer *framer) {
    size_t length = framer->length;
    if (length != framer->expected) {
        return 0; // more lines follow
    }
    framer->length = 0;
    length -= SMP_FRAME_HEAD;
    return crc16(framer->buffer + SMP_FRAME_HEAD, length) == 0u ? length - SMP_FRAME_CRC : 0; // 0 over data and CRC
}

static bool take_digit(struct smp_framer *framer, uint8_t digit) {
    uint32_t value = base64_value(digit);
    framer->bits = framer->bits << 6 | value;
    // Each digit after the first of four completes a byte: 12 bits hold one and 4 more, 18 the second and 2, 24
    // the third.
    uint32_t spare = 6u - 2u * (framer->digits++ & 3u);
    return value < 64u && (spare == 6u || take(framer, (uint8_t)(framer->bits >> spare)));
}

size_t smp_framer_feed(struct smp_framer *framer, uint8_t byte) {
    uint8_t before = framer->before;
    framer->before = byte;
    if (byte == FIRST_1 || byte == MORE_1) {
        framer->in_line = false; // in every state: neither is a base64 digit
    } else if (framer->in_line) {
        if (byte == '\n') {
            framer->in_line = false;
            return end_line(framer);
        }
        // The length says where the data ends, not these.
        if (byte != '=' && byte != '\r' && !take_digit(framer, byte)) {
            framer->in_line = false;
            framer->length = 0;
        }
    } else if (before == FIRST_1 && byte == FIRST_2) {
        framer->in_line = true;
        framer->length = 0;
        framer->expected = SMP_FRAME_HEAD + SMP_FRAME_CRC; // at least
        framer->digits = 0;
    } else if (before == MORE_1 && byte == MORE_2 && framer->length != 0u) {
        framer->in_line = true;
        framer->digits = 0;
    }
    return 0;
}

// ---- sending ----

void smp_frame_send(uint8_t *frame, size_t length) {
    uint8_t line[2u + LINE_DIGITS + 1u] = {FIRST_1, FIRST_2};
    uint32_t at = 2;
    save16(frame, (uint32_t)length + SMP_FRAME_CRC);
    save16(frame + SMP_FRAME_HEAD + length, crc16(frame + SMP_FRAME_HEAD, length));
    save16(frame + SMP_FRAME_HEAD + length + SMP_FRAME_CRC, 0); // what the last three bytes may lack
    for (int left = (int)(SMP_FRAME_HEAD + length + SMP_FRAME_CRC); left > 0; left -= 3) {
        uint32_t bits = (uint32_t)frame[0] << 16 | load16(frame + 1);
        frame += 3;
        for (int digit = 0; digit < 4; digit++) {
            line[at++] = digit <= left ? base64_digit(bits >> 18 & 63u) : '='; // one digit more than bytes
            bits <<= 6;
        }
        if (at == 2u + LINE_DIGITS || left <= 3) {
            line[at++] = '\n';
            smp_port_write(line, at);
            line[0] = MORE_1;
            line[1] = MORE_2;
            at = 2;
        }
    }
}
