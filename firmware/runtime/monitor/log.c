// SPDX-License-Identifier: Apache-2.0
// The log: a ring of entries, the oldest go first. Whoever reaches the management port can read it, so it is a
// sink that accepts nothing: no text, no address and no chosen number of a labelled enclave gets in.
#include "monitor.h"

#include <string.h>

#include "label.h"

#define RING_WORDS (COFFRET_LOG_BYTES / 4u)
_Static_assert((RING_WORDS & (RING_WORDS - 1u)) == 0u, "positions wrap by a mask");
#define HEADER_WORDS (sizeof(struct log_entry) / 4u)
#define TEXT_MAX 120u
#define MONITOR_ITSELF 0xFFu

static struct {
    uint32_t ring[RING_WORDS];
    uint32_t oldest;            // where its header starts, in words
    uint32_t used;              // words
    uint32_t first;             // sequence number of the oldest
    uint32_t next;              // sequence number of the next
} events MONITOR_BSS;

static uint32_t at(uint32_t position) {
    return events.ring[position % RING_WORDS];
}

static uint32_t words_of(uint32_t position) {
    uint32_t length = at(position + 2u) >> 8 & 0xFFu; // struct log_entry: task, length
    return HEADER_WORDS + (length + 3u) / 4u;
}

static void append(uint8_t who, const uint8_t *text, uint32_t length) {
    uint32_t words = HEADER_WORDS + (length + 3u) / 4u;
    while (RING_WORDS - events.used < words) {
        uint32_t gone = words_of(events.oldest);
        events.oldest = (events.oldest + gone) % RING_WORDS;
        events.used -= gone;
        events.first++;
    }
    uint32_t position = events.oldest + events.used;
    events.ring[position++ % RING_WORDS] = events.next++;
    events.ring[position++ % RING_WORDS] = monitor_now_ms();
    events.ring[position++ % RING_WORDS] = who | length << 8;
    for (uint32_t done = 0; done < length; done += 4u) {
        uint32_t word = 0;
        memcpy(&word, text + done, length - done < 4u ? length - done : 4u);
        events.ring[position++ % RING_WORDS] = word;
    }
    events.used += words;
}

void log_text(uint8_t who, const uint8_t *text, uint32_t length) {
    if (label_is_empty(&task_of(who)->secrecy)) {
        append(who, text, length < TEXT_MAX ? length : TEXT_MAX);
    }
}

RARE int32_t log_read(uint32_t from, uint8_t *to, uint32_t capacity) {
    uint32_t position = events.oldest;
    uint32_t written = 0;
    for (uint32_t sequence = events.first; sequence != events.next; sequence++) {
        uint32_t words = words_of(position);
        if ((int32_t)(sequence - from) >= 0) {
            if (words * 4u > capacity - written) {
                break;
            }
            for (uint32_t i = 0; i < words; i++, written += 4u) {
                uint32_t word = at(position + i);
                memcpy(to + written, &word, 4u);
            }
        }
        position += words;
    }
    return (int32_t)written;
}

// ---- the monitor's own entries: a word or two, a name, a number ----

struct line {
    uint8_t text[TEXT_MAX];
    uint32_t length;
};

static void add(struct line *line, const char *text) {
    while (*text != 0 && line->length < TEXT_MAX) {
        line->text[line->length++] = (uint8_t)*text++;
    }
}

static void add_hex(struct line *line, uint32_t value) {
    char digits[11] = "0x";
    for (unsigned i = 0; i < 8u; i++) {
        digits[2u + i] = "0123456789abcdef"[value >> (28u - 4u * i) & 15u];
    }
    digits[10] = 0;
    add(line, digits);
}

static const char *reason_name(uint8_t reason) {
    switch (reason) {
        case FAULT_MEMORY: return "memory";
        case FAULT_EXECUTE: return "execute";
        case FAULT_STACK: return "stack";
        case FAULT_USAGE: return "usage";
        case FAULT_BUS: return "bus";
        case FAULT_SYSCALL: return "syscall";
        case FAULT_OUT_OF_MEMORY: return "out of memory";
        case FAULT_WATCHDOG: return COFFRET_HAS_DEVICES ? "watchdog" : "exception";
        default: return "exception";
    }
}

RARE void log_event(const char *what, const char *name) {
    struct line line = {.length = 0};
    add(&line, what);
    add(&line, " ");
    add(&line, name);
    append(MONITOR_ITSELF, line.text, line.length);
}

RARE void log_fault(uint8_t task, uint8_t reason, uint32_t address) {
    struct line line = {.length = 0};
    add(&line, "fault ");
    add(&line, task_of(task)->name);
    add(&line, " ");
    add(&line, reason_name(reason));
    if (reason <= FAULT_BUS && label_is_empty(&task_of(task)->secrecy)) {
        add(&line, " ");
        add_hex(&line, address);
    }
    append(MONITOR_ITSELF, line.text, line.length);
}
