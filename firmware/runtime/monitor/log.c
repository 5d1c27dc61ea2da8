// SPDX-License-Identifier: Apache-2.0
// The log: a ring of entries, the oldest go first. Whoever reaches the management port can read it, so it is a
// sink that accepts nothing: no text, no address and no chosen number of a labelled enclave gets in.
#include "monitor.h"

#include <stddef.h>
#include <string.h>

#include "coffret/vm.h"
#include "label.h"

#define RING_WORDS (COFFRET_LOG_BYTES / 4u)
_Static_assert((RING_WORDS & (RING_WORDS - 1u)) == 0u, "positions wrap by a mask");
#define HEADER_WORDS (sizeof(struct log_entry) / 4u)
#define TEXT_MAX 120u
#define MONITOR_ITSELF 0xFFu
// In the third word of an entry, above its task and length: neither a flood of text nor a storm of faults pushes it out.
#define KEPT 0x10000u

static struct {
    uint32_t ring[RING_WORDS];
    uint32_t oldest;            // where its header starts, in words
    uint32_t used;              // words
    uint32_t next;              // sequence number of the next
    uint32_t releases;          // the number of the last entry to be kept
} events MONITOR_BSS;

static uint32_t *at(uint32_t position) {
    return &events.ring[position % RING_WORDS];
}

static uint32_t words_for(uint32_t length) {
    return HEADER_WORDS + (length + 3u) / 4u;
}

static uint32_t words_at(uint32_t position) {
    return words_for(*at(position + 2u) >> 8 & 0xFFu); // struct log_entry: task, length
}

// Drops the oldest entry that may go, and moves those before it up: kept ones, which may fill half of the ring.
static void drop_one(void) {
    uint32_t before = 0; // words
    while (COFFRET_HAS_GATES && before <= RING_WORDS / 2u && (*at(events.oldest + before + 2u) & KEPT) != 0) {
        before += words_at(events.oldest + before);
    }
    if (before > RING_WORDS / 2u) {
        before = 0;
    }
    uint32_t gone = words_at(events.oldest + before);
    while (before-- != 0) {
        *at(events.oldest + before + gone) = *at(events.oldest + before);
    }
    events.oldest = (events.oldest + gone) % RING_WORDS;
    events.used -= gone;
}

static void append(uint32_t about, const uint8_t *text, uint32_t length) {
    uint32_t words = words_for(length);
    while (RING_WORDS - events.used < words) {
        drop_one();
    }
    uint32_t position = events.oldest + events.used;
    *at(position++) = events.next++;
    *at(position++) = monitor_now_ms();
    *at(position++) = about | length << 8;
    for (uint32_t done = 0; done < length; done += 4u) {
        uint32_t word = 0;
        memcpy(&word, text + done, length - done < 4u ? length - done : 4u);
        *at(position++) = word;
    }
    events.used += words;
}

void log_text(uint8_t who, const uint8_t *text, uint32_t length) {
    if (label_is_empty(&task_of(who)->secrecy)) {
        append(who, text, length < TEXT_MAX ? length : TEXT_MAX);
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

static void add_number(struct line *line, uint32_t value, uint32_t base) {
    char digits[11];
    unsigned first = sizeof digits - 1u;
    digits[first] = 0;
    do {
        uint32_t digit = value % base;
        digits[--first] = (char)(digit < 10u ? '0' + digit : 'a' - 10u + digit);
        value /= base;
    } while (value != 0);
    add(line, digits + first);
}

// Names that follow each other: a table of pointers would be as large as they are.
static const char *reason_name(uint8_t reason) {
    const char *name = "exception\0memory\0execute\0stack\0usage\0bus\0syscall\0out of memory\0watchdog";
    unsigned place = reason <= FAULT_SYSCALL ? reason : 0;
    if (reason == FAULT_OUT_OF_MEMORY) {
        place = FAULT_SYSCALL + 1u;
    } else if (COFFRET_HAS_DEVICES && reason == FAULT_WATCHDOG) {
        place = FAULT_SYSCALL + 2u;
    }
    for (; place != 0; place--) {
        while (*name++ != 0) {
        }
    }
    return name;
}

RARE static void say(const char *what, const char *name, uint32_t release) {
    struct line line = {.length = 0};
    add(&line, what);
    add(&line, " ");
    add(&line, name);
    if (release != 0) {
        add(&line, " #");
        add_number(&line, release, 10);
    }
    append(release != 0 ? MONITOR_ITSELF | KEPT : MONITOR_ITSELF, line.text, line.length);
}

void log_event(const char *what, const char *name) {
    say(what, name, 0);
}

void log_release(const char *what, const char *gate) {
    say(what, gate, ++events.releases);
}

static bool is_own_word(const struct task *task, uint32_t address) {
    return address % sizeof address == 0 && is_own_memory(task, address, sizeof address);
}

// From an address to the word there, if the task owns it.
static bool follow(const struct task *task, uint32_t *address) {
    if (!is_own_word(task, *address)) {
        return false;
    }
    *address = *(const uint32_t *)*address;
    return true;
}

// Addresses of the instructions that ran: the processor's, then that of each Python frame, the innermost first, as far
// as an entry goes. The chain (coffret/vm.h) is the enclave's word: it is followed in its own memory alone.
RARE static void add_places(struct line *line, uint8_t number) {
    const struct task *task = task_of(number);
    uint32_t place = task_instruction(number);
    uint32_t link = task->heap_base; // of a pointer to the next frame
    add(line, " at");
    while (line->length + sizeof " 00000000" <= TEXT_MAX) {
        add(line, " ");
        add_number(line, place, 16);
        if (!follow(task, &link) || !is_own_word(task, link)) {
            return;
        }
        place = link + offsetof(struct vm_frame, place);
        if (!follow(task, &place) || !follow(task, &place)) {
            return;
        }
    }
}

RARE void log_fault(uint8_t task, uint8_t reason, uint32_t address) {
    struct line line = {.length = 0};
    add(&line, "fault ");
    add(&line, task_of(task)->name);
    add(&line, " ");
    add(&line, reason_name(reason));
    if (reason <= FAULT_BUS && label_is_empty(&task_of(task)->secrecy)) {
        add(&line, " 0x");
        add_number(&line, address, 16);
        if (COFFRET_TELLS_FRAMES) {
            add_places(&line, task);
        }
    }
    append(MONITOR_ITSELF, line.text, line.length);
}

RARE int32_t log_read(uint32_t from, uint8_t *to, uint32_t capacity) {
    uint32_t written = 0;
    uint32_t words;
    for (uint32_t seen = 0; seen != events.used; seen += words) {
        uint32_t position = events.oldest + seen;
        words = words_at(position);
        if ((int32_t)(*at(position) - from) < 0) {
            continue;
        }
        if (words * 4u > capacity - written) {
            break;
        }
        for (uint32_t i = 0; i < words; i++, written += 4u) {
            memcpy(to + written, at(position + i), 4u);
        }
    }
    return (int32_t)written;
}
