// SPDX-License-Identifier: Apache-2.0
// The record store. Bank header: magic, sequence, CRC-32 of both. Record: key, 0xFF, length (16 bits), payload
// padded with 0xFF to 4 bytes, CRC-32 over all of that. Little endian; everything starts at a multiple of
// STORE_UNIT.
//
// Power may be cut at any word. Three rules make that harmless:
// - Words are programmed in ascending order, so a record whose CRC fits was written whole.
// - A bank ends at its first record that is not whole, and nothing is ever appended behind it: the next write
//   compacts into the other bank. (To look for the next record inside a torn one would let its payload, which
//   came from outside, pose as a record of another key.)
// - Compaction programs the header of the new bank last; until then the old bank is the current one.
#include "coffret/store.h"

#include <stdbool.h>
#include <string.h>

#include "board_config.h"
#include "coffret/flash.h"
#include "coffret/section.h"

#define BANK_MAGIC 0x53524643u // "CFRS"
#define BANK_HEADER 12u
#define RECORD_HEADER 4u
#define RECORD_CRC 4u
// Everything is aligned to what the part programs at once, and at least to a word.
#define STORE_UNIT (BOARD_FLASH_PROGRAM_SIZE < 4u ? 4u : BOARD_FLASH_PROGRAM_SIZE)
#define FIRST_RECORD ((BANK_HEADER + STORE_UNIT - 1u) & ~(STORE_UNIT - 1u))
#define CHUNK (STORE_UNIT < 32u ? 32u : STORE_UNIT)

_Static_assert((STORE_UNIT & (STORE_UNIT - 1u)) == 0, "alignment is done with masks");

static uint32_t align_up(uint32_t value, uint32_t unit) {
    return (value + unit - 1u) & ~(unit - 1u);
}

// As they lie in flash, at multiples of STORE_UNIT.
struct bank_header {
    uint32_t magic;
    uint32_t sequence;
    uint32_t crc;
};
struct record {
    uint8_t key;
    uint8_t erased; // 0xFF
    uint16_t length;
    uint8_t payload[];
};
_Static_assert(sizeof(struct bank_header) == BANK_HEADER && sizeof(struct record) == RECORD_HEADER, "nothing between");

// CRC-32 of IEEE 802.3, reflected. Start with 0.
static uint32_t crc32(uint32_t crc, const void *data, size_t length) {
    const uint8_t *bytes = data;
    crc = ~crc;
    while (length-- > 0) {
        crc ^= *bytes++;
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ (0xEDB88320u & (0u - (crc & 1u)));
        }
    }
    return ~crc;
}

static uint32_t bank_offset(const struct store *store) {
    return store->bank == 0 ? store->offset : store->offset + store->bank_size;
}

static const uint8_t *bank_address(const struct store *store) {
    return flash_address(bank_offset(store));
}

static const struct record *record_at(const struct store *store, uint32_t at) {
    return (const struct record *)(bank_address(store) + at);
}

// Bytes a record takes, from its header to the start of the next.
static uint32_t record_size(size_t length) {
    return align_up(RECORD_HEADER + (uint32_t)length + RECORD_CRC, STORE_UNIT);
}

static bool bank_valid(const struct bank_header *bank) {
    return bank->magic == BANK_MAGIC && bank->crc == crc32(0, bank, offsetof(struct bank_header, crc));
}

static bool record_valid(const struct record *record, uint32_t room) {
    if (room < record_size(0) || record->key == 0x00 || record->key == 0xFF || record->erased != 0xFF ||
        record_size(record->length) > room) {
        return false;
    }
    uint32_t body = align_up(RECORD_HEADER + record->length, 4);
    return *(const uint32_t *)((const uint8_t *)record + body) == crc32(0, record, body);
}

void store_open(struct store *store, uint32_t offset, uint32_t bank_size) {
    *store = (struct store){.offset = offset, .bank_size = bank_size, .sealed = 1};
    const struct bank_header *first = (const struct bank_header *)flash_address(offset);
    const struct bank_header *second = (const struct bank_header *)flash_address(offset + bank_size);
    if (bank_valid(second) && (!bank_valid(first) || (int32_t)(second->sequence - first->sequence) > 0)) {
        store->bank = 1;
        first = second;
    } else if (!bank_valid(first)) {
        return; // no bank yet: no records before end = 0, and the first write must make one
    }
    store->sequence = first->sequence;
    uint32_t end = FIRST_RECORD;
    while (record_valid(record_at(store, end), bank_size - end)) {
        end += record_size(record_at(store, end)->length);
    }
    store->end = end;
    store->sealed = !flash_is_blank(bank_address(store) + end, bank_size - end);
}

// The last record of `key`. Records before `end` were checked by store_open or written since.
static const struct record *find(const struct store *store, uint8_t key) {
    const struct record *found = NULL;
    for (uint32_t at = FIRST_RECORD; at < store->end; at += record_size(record_at(store, at)->length)) {
        if (record_at(store, at)->key == key) {
            found = record_at(store, at);
        }
    }
    return found;
}

const uint8_t *store_find(const struct store *store, uint8_t key, size_t *length) {
    const struct record *record = find(store, key);
    if (record == NULL) {
        return NULL;
    }
    *length = record->length;
    return record->payload;
}

int store_get(const struct store *store, uint8_t key, void *data, size_t capacity) {
    const struct record *record = find(store, key);
    if (record == NULL) {
        return STORE_NOT_FOUND;
    }
    if (record->length > capacity) {
        return STORE_SIZE;
    }
    memcpy(data, record->payload, record->length);
    return record->length;
}

// Programs a run of bytes in ascending order through a small buffer, so that the source may lie in flash.
struct programmer {
    uint32_t at;        // next flash offset
    uint32_t used;      // bytes waiting in `chunk`
    uint32_t crc;       // of all bytes so far
    int error;
    uint8_t chunk[CHUNK];
};

static void program_flush(struct programmer *programmer) {
    if (programmer->error == 0) {
        programmer->error = flash_program(programmer->at, programmer->chunk, programmer->used);
    }
    programmer->at += programmer->used;
    programmer->used = 0;
}

static void program_bytes(struct programmer *programmer, const void *data, size_t length) {
    const uint8_t *bytes = data;
    programmer->crc = crc32(programmer->crc, bytes, length);
    while (length-- > 0) {
        programmer->chunk[programmer->used++] = *bytes++;
        if (programmer->used == CHUNK) {
            program_flush(programmer);
        }
    }
}

static void program_padding(struct programmer *programmer, uint32_t unit) {
    static const uint8_t erased = 0xFF;
    while ((programmer->used & (unit - 1u)) != 0) {
        program_bytes(programmer, &erased, 1);
    }
}

// Pads, adds the CRC and programs what is left. 0 or STORE_FLASH.
static int program_finish(struct programmer *programmer) {
    program_padding(programmer, 4);
    uint32_t crc = programmer->crc;
    program_bytes(programmer, &crc, sizeof crc);
    program_padding(programmer, STORE_UNIT);
    if (programmer->used != 0) {
        program_flush(programmer);
    }
    return programmer->error != 0 ? STORE_FLASH : 0;
}

static int append(struct store *store, uint8_t key, const void *data, size_t length) {
    struct record header = {key, 0xFF, (uint16_t)length};
    uint32_t size = record_size(length);
    if (size > store->bank_size - store->end) {
        return STORE_SIZE;
    }
    struct programmer programmer = {.at = bank_offset(store) + store->end};
    store->end += size;
    program_bytes(&programmer, &header, sizeof header);
    program_bytes(&programmer, data, length);
    return program_finish(&programmer);
}

#define KEEP_ALL 0xFFFFFFFFu

static bool is_kept(uint32_t keep, uint8_t key) { return keep == KEEP_ALL || (key < 32u && (keep >> key & 1u) != 0u); }

// Copies the last record of every key that is kept, but of `key`, to the other bank, then the new record, then the bank's
// header.
static int compact(struct store *store, uint32_t keep, uint8_t key, const void *data, size_t length) {
    struct store next = *store;
    next.bank = store->bank ^ 1u;
    next.sequence = store->sequence + 1u;
    next.end = FIRST_RECORD;
    next.sealed = 0;
    uint32_t start = bank_offset(&next);
    if (flash_erase(start, store->bank_size) != 0) {
        return STORE_FLASH;
    }
    int error = 0;
    for (uint32_t at = FIRST_RECORD; error == 0 && at < store->end;) {
        const struct record *record = record_at(store, at);
        if (record->key != key && is_kept(keep, record->key) && find(store, record->key) == record) {
            error = append(&next, record->key, record->payload, record->length);
        }
        at += record_size(record->length);
    }
    if (error == 0) {
        error = append(&next, key, data, length);
    }
    if (error == 0) {
        struct programmer programmer = {.at = start};
        program_bytes(&programmer, &(uint32_t[]){BANK_MAGIC, next.sequence}, 2u * sizeof(uint32_t));
        error = program_finish(&programmer);
    }
    if (error == 0) {
        *store = next;
    }
    return error;
}

// Refused by the flash, the record may be whole all the same, or the new bank's header: see what the next boot would see.
static int look_again(struct store *store, int error) {
    if (error == STORE_FLASH) {
        store_open(store, store->offset, store->bank_size);
    }
    return error;
}

int store_put(struct store *store, uint8_t key, const void *data, size_t length) {
    if (key == 0x00 || key == 0xFF) {
        return STORE_KEY;
    }
    if (length > store->bank_size || length > 0xFFFFu) {
        return STORE_SIZE;
    }
    const struct record *old = find(store, key);
    if (old != NULL && old->length == length && memcmp(old->payload, data, length) == 0) {
        return 0;
    }
    bool fits = !store->sealed && record_size(length) <= store->bank_size - store->end;
    int error = fits ? append(store, key, data, length) : compact(store, KEEP_ALL, key, data, length);
    return look_again(store, error);
}

int store_put_alone(struct store *store, uint32_t keep, uint8_t key, const void *data, size_t length) {
    return look_again(store, compact(store, keep, key, data, length));
}

int store_erase_old(const struct store *store) {
    uint32_t old = store->offset + (store->bank == 0u ? store->bank_size : 0u);
    return flash_erase_written(old, store->bank_size) != 0 ? STORE_FLASH : 0;
}
