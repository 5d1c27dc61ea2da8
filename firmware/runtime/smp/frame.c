// SPDX-License-Identifier: Apache-2.0
#include "smp/frame.h"

#include <stdbool.h>

#include "smp/backend.h"

enum { FIRST_1 = 0x06, FIRST_2 = 0x09, MORE_1 = 0x04, MORE_2 = 0x14 };
enum state { STATE_IDLE, STATE_FIRST, STATE_MORE, STATE_LINE };

#define LENGTH_BYTES 2u
// 2 bytes of marker, 124 base64 digits, newline: 127.
#define LINE_DATA 93u

static uint16_t crc16(uint16_t crc, uint8_t byte) { // CRC-16/XMODEM: polynomial 0x1021, start 0
    crc ^= (uint16_t)(byte << 8);
    for (int bit = 0; bit < 8; bit++) {
        crc = (uint16_t)(crc << 1 ^ (crc & 0x8000u ? 0x1021u : 0));
    }
    return crc;
}

void smp_framer_start(struct smp_framer *framer, uint8_t *buffer, uint16_t capacity) {
    *framer = (struct smp_framer){.buffer = buffer, .capacity = capacity};
}

// The value of a base64 digit, or -1.
static int base64_value(uint8_t digit) {
    if (digit >= 'A' && digit <= 'Z') {
        return digit - 'A';
    }
    if (digit >= 'a' && digit <= 'z') {
        return digit - 'a' + 26;
    }
    if (digit >= '0' && digit <= '9') {
        return digit - '0' + 52;
    }
    return digit == '+' ? 62 : digit == '/' ? 63 : -1;
}

static char base64_digit(uint32_t value) {
    if (value < 52) {
        return (char)(value < 26 ? 'A' + value : 'a' + value - 26);
    }
    return (char)(value < 62 ? '0' + value - 52 : value == 62 ? '+' : '/');
}

// False: more than the frame's own length, or than the buffer holds.
static bool take(struct smp_framer *framer, uint8_t byte) {
    if (framer->length < LENGTH_BYTES) {
        framer->expected = (uint16_t)(framer->expected << 8 | byte);
        framer->length++;
        return framer->length < LENGTH_BYTES ||
               (framer->expected > SMP_FRAME_CRC && framer->expected <= framer->capacity);
    }
    if (framer->length - LENGTH_BYTES >= framer->expected) {
        return false;
    }
    framer->buffer[framer->length++ - LENGTH_BYTES] = byte;
    return true;
}

static bool complete(const struct smp_framer *framer) {
    return framer->length > LENGTH_BYTES && framer->length - LENGTH_BYTES == framer->expected;
}

static size_t checked_length(const struct smp_framer *framer) {
    uint16_t crc = 0;
    for (size_t i = 0; i < framer->expected; i++) {
        crc = crc16(crc, framer->buffer[i]);
    }
    return crc == 0 ? framer->expected - SMP_FRAME_CRC : 0; // over data and its own CRC it is 0
}

static size_t feed_line(struct smp_framer *framer, uint8_t byte) {
    if (byte == '\n') {
        framer->state = STATE_IDLE;
        if (!complete(framer)) {
            return 0; // more lines follow
        }
        framer->length = 0;
        return checked_length(framer);
    }
    if (byte == '=' || byte == '\r') {
        return 0; // the length says where the data ends
    }
    int value = base64_value(byte);
    if (value < 0) {
        framer->state = STATE_IDLE;
        framer->length = 0;
        return 0;
    }
    framer->bits = framer->bits << 6 | (uint32_t)value;
    framer->digits++;
    // Each digit after the first of four completes a byte: 12 bits hold one and 4 more, 18 the second and 2, 24
    // the third.
    if ((framer->digits & 3u) != 1u) {
        unsigned spare = 2u * (3u - ((framer->digits - 1u) & 3u));
        if (!take(framer, (uint8_t)(framer->bits >> spare))) {
            framer->state = STATE_IDLE;
            framer->length = 0;
        }
    }
    return 0;
}

size_t smp_framer_feed(struct smp_framer *framer, uint8_t byte) {
    enum state state = framer->state;
    if (byte == FIRST_1 || byte == MORE_1) { // in every state: neither is a base64 digit
        framer->state = byte == FIRST_1 ? STATE_FIRST : STATE_MORE;
        return 0;
    }
    if (state == STATE_LINE) {
        return feed_line(framer, byte);
    }
    framer->state = STATE_IDLE;
    if (state == STATE_FIRST && byte == FIRST_2) {
        framer->state = STATE_LINE;
        framer->length = 0;
        framer->expected = 0;
        framer->digits = 0;
    } else if (state == STATE_MORE && byte == MORE_2 && framer->length != 0) {
        framer->state = STATE_LINE;
        framer->digits = 0;
    }
    return 0;
}

struct line {
    uint8_t text[3 + LINE_DATA / 3 * 4]; // marker, digits, newline
    uint8_t length;
    uint8_t bytes;                       // waiting in `bits`
    uint32_t bits;
};

static void line_start(struct line *line, uint8_t first, uint8_t second) {
    line->text[0] = first;
    line->text[1] = second;
    line->length = 2;
}

static void line_end(struct line *line) {
    line->text[line->length] = '\n';
    smp_port_write(line->text, line->length + 1u);
    line_start(line, MORE_1, MORE_2);
}

static void line_put(struct line *line, uint8_t byte) {
    line->bits = line->bits << 8 | byte;
    if (++line->bytes == 3) {
        if (line->length == sizeof line->text - 1) {
            line_end(line);
        }
        for (int shift = 18; shift >= 0; shift -= 6) {
            line->text[line->length++] = (uint8_t)base64_digit(line->bits >> shift & 63u);
        }
        line->bytes = 0;
    }
}

void smp_frame_send(const uint8_t *message, size_t length) {
    struct line line = {.length = 0};
    uint16_t crc = 0;
    line_start(&line, FIRST_1, FIRST_2);
    line_put(&line, (uint8_t)((length + SMP_FRAME_CRC) >> 8));
    line_put(&line, (uint8_t)(length + SMP_FRAME_CRC));
    while (length-- > 0) {
        crc = crc16(crc, *message);
        line_put(&line, *message++);
    }
    line_put(&line, (uint8_t)(crc >> 8));
    line_put(&line, (uint8_t)crc);
    if (line.bytes != 0) {
        unsigned missing = 3u - line.bytes;
        while (line.bytes != 0) {
            line_put(&line, 0);
        }
        while (missing > 0) {
            line.text[line.length - missing--] = '=';
        }
    }
    line_end(&line);
}
