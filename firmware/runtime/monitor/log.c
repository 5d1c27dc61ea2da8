// SPDX-License-Identifier: Apache-2.0
// The log: rings of entries, of each the oldest go first. Whoever reaches the management port can read it, so it is a
// sink that accepts nothing: no text, no address and no chosen number of a labelled enclave gets in.
#include "monitor.h"

#include <string.h>

#include "label.h"

#define RINGS (COFFRET_HAS_GATES ? 2u : 1u)
#define RING_WORDS (COFFRET_LOG_BYTES / 4u / RINGS)
_Static_assert((RING_WORDS & (RING_WORDS - 1u)) == 0u, "positions wrap by a mask");
#define HEADER_WORDS (sizeof(struct log_entry) / 4u)
#define TEXT_MAX 120u
#define MONITOR_ITSELF 0xFFu

// What gates let out has a ring of its own, where there are gates: neither a flood of text nor a storm of faults may push it out.
enum { EVERYTHING_ELSE, RELEASES };

static struct ring {
    uint32_t words[RING_WORDS];
    uint32_t oldest;            // where its header starts, in words
    uint32_t used;              // words
} rings[RINGS] MONITOR_BSS;

static uint32_t next_sequence MONITOR_BSS;

// Of the releases: how many are gone, and the last of them.
static struct {
    uint32_t count;
    uint32_t sequence;
    uint32_t ms;
} lost MONITOR_BSS;

static uint32_t at(const struct ring *ring, uint32_t position) {
    return ring->words[position % RING_WORDS];
}

static uint32_t words_for(uint32_t length) {
    return HEADER_WORDS + (length + 3u) / 4u;
}

static uint32_t words_of(const struct ring *ring, uint32_t position) {
    return words_for(at(ring, position + 2u) >> 8 & 0xFFu); // struct log_entry: task, length
}

static void drop_oldest(struct ring *ring) {
    if (ring == &rings[RELEASES]) {
        lost.count++;
        lost.sequence = at(ring, ring->oldest);
        lost.ms = at(ring, ring->oldest + 1u);
    }
    uint32_t gone = words_of(ring, ring->oldest);
    ring->oldest = (ring->oldest + gone) % RING_WORDS;
    ring->used -= gone;
}

static void append(struct ring *ring, uint8_t who, const uint8_t *text, uint32_t length) {
    while (RING_WORDS - ring->used < words_for(length)) {
        drop_oldest(ring);
    }
    uint32_t position = ring->oldest + ring->used;
    ring->words[position++ % RING_WORDS] = next_sequence++;
    ring->words[position++ % RING_WORDS] = monitor_now_ms();
    ring->words[position++ % RING_WORDS] = who | length << 8;
    for (uint32_t done = 0; done < length; done += 4u) {
        uint32_t word = 0;
        memcpy(&word, text + done, length - done < 4u ? length - done : 4u);
        ring->words[position++ % RING_WORDS] = word;
    }
    ring->used += words_for(length);
}

void log_text(uint8_t who, const uint8_t *text, uint32_t length) {
    if (label_is_empty(&task_of(who)->secrecy)) {
        append(&rings[EVERYTHING_ELSE], who, text, length < TEXT_MAX ? length : TEXT_MAX);
    }
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

static void add_decimal(struct line *line, uint32_t value) {
    char digits[11];
    unsigned first = sizeof digits - 1u;
    digits[first] = 0;
    do {
        digits[--first] = (char)('0' + value % 10u);
        value /= 10u;
    } while (value != 0);
    add(line, digits + first);
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

RARE static void say(struct ring *ring, const char *what, const char *name) {
    struct line line = {.length = 0};
    add(&line, what);
    add(&line, " ");
    add(&line, name);
    append(ring, MONITOR_ITSELF, line.text, line.length);
}

void log_event(const char *what, const char *name) {
    say(&rings[EVERYTHING_ELSE], what, name);
}

void log_release(const char *what, const char *gate) {
    say(&rings[RELEASES], what, gate);
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
    append(&rings[EVERYTHING_ELSE], MONITOR_ITSELF, line.text, line.length);
}

// ---- read: both rings as one, in the order in which it was written ----

static bool is_before(uint32_t sequence, uint32_t other) {
    return (int32_t)(sequence - other) < 0; // they wrap round
}

// What stands in the place of the releases that are gone.
RARE static uint32_t read_lost(uint8_t *to, uint32_t capacity) {
    struct line line = {.length = 0};
    add_decimal(&line, lost.count);
    add(&line, " releases gone");
    uint32_t bytes = words_for(line.length) * 4u;
    if (bytes > capacity) {
        return 0;
    }
    struct log_entry entry = {
        .sequence = lost.sequence, .ms = lost.ms, .task = MONITOR_ITSELF, .length = (uint8_t)line.length};
    memset(to, 0, bytes);
    memcpy(to, &entry, sizeof entry);
    memcpy(to + sizeof entry, line.text, line.length);
    return bytes;
}

static uint32_t read_entry(const struct ring *ring, uint32_t position, uint8_t *to, uint32_t capacity) {
    uint32_t words = words_of(ring, position);
    if (words * 4u > capacity) {
        return 0;
    }
    for (uint32_t i = 0; i < words; i++) {
        uint32_t word = at(ring, position + i);
        memcpy(to + 4u * i, &word, 4u);
    }
    return words * 4u;
}

RARE int32_t log_read(uint32_t from, uint8_t *to, uint32_t capacity) {
    uint32_t seen[RINGS] = {0}; // words
    bool lost_seen = lost.count == 0;
    uint32_t written = 0;
    for (;;) {
        unsigned next = RINGS;
        uint32_t sequence = 0;
        for (unsigned i = 0; i < RINGS; i++) {
            uint32_t mine = at(&rings[i], rings[i].oldest + seen[i]);
            if (seen[i] < rings[i].used && (next == RINGS || is_before(mine, sequence))) {
                next = i;
                sequence = mine;
            }
        }
        bool is_lost = !lost_seen && (next == RINGS || is_before(lost.sequence, sequence));
        if (!is_lost && next == RINGS) {
            break;
        }
        if (!is_before(is_lost ? lost.sequence : sequence, from)) {
            uint32_t position = rings[next % RINGS].oldest + seen[next % RINGS];
            uint32_t bytes = is_lost ? read_lost(to + written, capacity - written)
                                     : read_entry(&rings[next], position, to + written, capacity - written);
            if (bytes == 0) {
                break;
            }
            written += bytes;
        }
        if (is_lost) {
            lost_seen = true;
        } else {
            seen[next] += words_of(&rings[next], rings[next].oldest + seen[next]);
        }
    }
    return (int32_t)written;
}
