// SPDX-License-Identifier: Apache-2.0
#include "smp/delta.h"

#ifdef SMP_DELTA
#include <string.h>

#include "coffret/reason.h"

#define NUMBER_BITS 28u

bool delta_is(const uint8_t *data, size_t length) {
    uint32_t magic;
    if (length < sizeof magic) {
        return false;
    }
    memcpy(&magic, data, sizeof magic);
    return magic == DELTA_MAGIC;
}

uint32_t delta_header_size(const struct delta_header *header) {
    return (uint32_t)(sizeof *header + header->segments * sizeof(struct delta_segment));
}

uint8_t delta_header(const uint8_t *data, size_t length, struct delta_header *header) {
    if (length < sizeof *header) {
        return REASON_DELTA;
    }
    memcpy(header, data, sizeof *header);
    bool good = header->segments <= DELTA_SEGMENTS && header->reserved == 0 && header->length > DELTA_START &&
                length >= delta_header_size(header);
    return good ? REASON_OK : REASON_DELTA;
}

void delta_open(struct delta *delta, const struct delta_header *header, const uint8_t *data, const struct delta_base *base) {
    memset(delta, 0, sizeof *delta);
    delta->base = *base;
    delta->segments = header->segments;
    delta->length = header->length;
    memcpy(delta->segment, data + sizeof *header, header->segments * sizeof delta->segment[0]);
    memcpy(delta->target, header->target, sizeof delta->target);
    memcpy(delta->buffer, header->start, DELTA_START);
    delta->gathered = DELTA_START;
    delta->made = DELTA_START;
    delta->cursor = DELTA_START;
}

// The word at an aligned offset of the base, as it would be in the other slot.
static uint32_t moved_word(const struct delta *delta, uint32_t at) {
    const struct delta_base *base = &delta->base;
    uint32_t word = 0;
    memcpy(&word, base->bytes + at, at + 4u <= base->length ? 4u : base->length - at);
    uint32_t place = word - base->address;
    if (at + 4u > base->length || place >= base->length) {
        return word;
    }
    word += base->move;
    for (uint32_t i = delta->segments; i-- > 0;) {
        if (delta->segment[i].start <= place) {
            return word + delta->segment[i].shift;
        }
    }
    return word;
}

static uint8_t flush(struct delta *delta, delta_sink *sink, void *context) {
    uint32_t gathered = delta->gathered;
    delta->gathered = 0;
    return sink(context, delta->buffer, gathered) ? REASON_OK : REASON_FLASH;
}

static uint8_t put(struct delta *delta, uint8_t byte, delta_sink *sink, void *context) {
    delta->buffer[delta->gathered++] = byte;
    delta->made++;
    bool full = delta->gathered == DELTA_BUFFER || delta->made == delta->length;
    return full ? flush(delta, sink, context) : REASON_OK;
}

// The end of a token: its copy.
static uint8_t copy(struct delta *delta, delta_sink *sink, void *context) {
    const uint32_t length = delta->base.length;
    uint32_t at = delta->cursor + (delta->jump >> 1 ^ (0u - (delta->jump & 1u)));
    uint32_t end = at + delta->copied;
    if (delta->copied != 0 && (at > length || delta->copied > length - at)) {
        return REASON_DELTA;
    }
    uint32_t word = 0;
    for (uint32_t next = at; next != end; next++) {
        if (next == at || next % 4u == 0) {
            word = moved_word(delta, next & ~3u);
        }
        uint8_t reason = put(delta, (uint8_t)(word >> (next % 4u) * 8u), sink, context);
        if (reason != REASON_OK) {
            return reason;
        }
    }
    delta->cursor = end;
    delta->state = DELTA_TOKEN;
    return REASON_OK;
}

// What comes next of a token of which everything before `state` is known; its literals come one by one.
static uint8_t go_on(struct delta *delta, uint8_t state, delta_sink *sink, void *context) {
    if (state == DELTA_LITERALS && (delta->token >> 4 & 7u) != 7u) {
        state = DELTA_COPIED;
    }
    if (state == DELTA_COPIED && (delta->token & 15u) != 15u) {
        state = DELTA_JUMP;
    }
    if (state == DELTA_JUMP && (delta->token & 0x80u) == 0) {
        state = DELTA_BYTES;
    }
    delta->state = state;
    delta->number = 0;
    delta->bits = 0;
    if (state != DELTA_BYTES) {
        return REASON_OK;
    }
    // All of the token is known: it makes something, within the target and within one page of it.
    uint32_t makes = delta->literals + delta->copied; // two of 28 bits
    if (makes == 0 || makes > delta->length - delta->made || makes > DELTA_PAGE - delta->made % DELTA_PAGE) {
        return REASON_DELTA;
    }
    delta->cursor += delta->literals;
    return delta->literals != 0 ? (uint8_t)REASON_OK : copy(delta, sink, context);
}

static uint8_t take_number(struct delta *delta, uint8_t byte, delta_sink *sink, void *context) {
    delta->number |= (uint32_t)(byte & 0x7Fu) << delta->bits;
    delta->bits += 7u;
    if ((byte & 0x80u) != 0) {
        return delta->bits < NUMBER_BITS ? REASON_OK : REASON_DELTA;
    }
    if (byte == 0 && delta->bits > 7u) {
        return REASON_DELTA; // longer than it need be
    }
    switch (delta->state) {
    case DELTA_LITERALS:
        delta->literals += delta->number;
        break;
    case DELTA_COPIED:
        delta->copied += delta->number;
        break;
    default:
        delta->jump = delta->number;
        break;
    }
    return go_on(delta, (uint8_t)(delta->state + 1u), sink, context);
}

static uint8_t take(struct delta *delta, uint8_t byte, delta_sink *sink, void *context) {
    if (delta->state == DELTA_TOKEN) {
        delta->token = byte;
        delta->literals = byte >> 4 & 7u;
        delta->copied = byte & 15u;
        delta->jump = 0;
        return go_on(delta, DELTA_LITERALS, sink, context);
    }
    if (delta->state != DELTA_BYTES) {
        return take_number(delta, byte, sink, context);
    }
    uint8_t reason = put(delta, byte, sink, context);
    delta->literals--;
    return reason != REASON_OK || delta->literals != 0 ? reason : copy(delta, sink, context);
}

uint8_t delta_take(struct delta *delta, const uint8_t *data, uint32_t length, uint32_t *taken, delta_sink *sink, void *context) {
    uint8_t reason = REASON_OK;
    uint32_t at = 0;
    bool page = false;
    while (reason == REASON_OK && !page && at < length) {
        uint32_t before = delta->made;
        reason = delta_complete(delta) ? (uint8_t)REASON_DELTA : take(delta, data[at++], sink, context);
        page = delta->state == DELTA_TOKEN && delta->made != before && delta->made % DELTA_PAGE == 0;
    }
    *taken = at;
    return reason;
}

bool delta_complete(const struct delta *delta) {
    return delta->state == DELTA_TOKEN && delta->made == delta->length;
}
#endif
