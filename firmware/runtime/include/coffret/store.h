// SPDX-License-Identifier: Apache-2.0
// The record store: a few small records by key that survive every power cut. Two banks of flash, append only.
// Used by boot and, later in the same flash, by the monitor. Privileged code only. No statics: the caller keeps
// `struct store`. It works on coffret/flash.h, so that the same code runs on the host over a simulated flash.
#ifndef COFFRET_STORE_H
#define COFFRET_STORE_H

#include <stddef.h>
#include <stdint.h>

enum store_key {
    STORE_BOOT_STATE = 1,       // struct boot_state (coffret/boot_state.h)
    STORE_SECURITY_COUNTER = 2, // uint32_t, little endian: images below it are refused
    STORE_LIFECYCLE = 3,        // uint16_t, PSA value
    STORE_ENDORSEMENT = 4,      // bytes, at most 1,024
    STORE_BOOT_COUNT = 5,       // uint32_t
    STORE_CERTIFICATE = 6,      // cached DICE certificate and public keys
    STORE_IMAGE_MAC = 7,
    STORE_BUDGETS = 8,          // what gates used of their windows (monitor/gate.c)
    STORE_KEY_FLOOR = 9,        // uint16_t: signing keys of an older generation are revoked
    STORE_ORDER = 10,           // to decommission this device (boot/image.c); boot judges it at the next start
    STORE_SERVICES = 16,        // and up: of the services
    STORE_UPLOAD = 16,          // how far an upload is (smp/upload.c)
    STORE_BOARD_SETTINGS = 20   // text, at most SETTINGS_MAX bytes; fixed once the board is secured
};

// Asked for like a record of the services, and none: struct store_wear. 0 is no key in flash.
#define STORE_WEAR 0u
#define STORE_BUDGETS_MAX 256u  // bytes
#define STORE_ORDER_MAX 512u    // bytes

enum store_error {
    STORE_NOT_FOUND = -1,
    STORE_SIZE = -2,            // longer than the caller's buffer, or than a bank has room for
    STORE_FLASH = -3,           // the flash refused; the record may or may not be there after the next open
    STORE_KEY = -4              // 0x00 and 0xFF are no keys
};

struct store {
    uint32_t offset;            // of bank 0, from the start of the flash; bank 1 follows it
    uint32_t bank_size;         // bytes, a multiple of the erase block
    uint32_t sequence;          // of the current bank
    uint32_t end;               // first free byte in the current bank
    uint8_t bank;               // 0 or 1
    uint8_t sealed;             // nothing may be appended: no bank yet, or something torn lies behind `end`
};

// Find the current bank and its last whole record. Writes nothing and cannot fail: without a valid bank the
// store is empty, and the first store_put makes one.
void store_open(struct store *store, uint32_t offset, uint32_t bank_size);

// The record's payload where it lies in flash, until the next store_put; NULL: there is none.
const uint8_t *store_find(const struct store *store, uint8_t key, size_t *length);

// Copies the record. Returns its length, STORE_NOT_FOUND, or STORE_SIZE (nothing is copied then).
int store_get(const struct store *store, uint8_t key, void *data, size_t capacity);

// When it returns 0 the record is in flash and outlives any power cut; cut before that, either the old or the
// new one is found, whole. A record equal to the one already there costs nothing.
int store_put(struct store *store, uint8_t key, const void *data, size_t length);

// The same, and of the other records only those remain whose bit is set in `keep` (bit n: key n). What is forgotten still
// lies in the bank that was current before, until store_erase_old().
int store_put_alone(struct store *store, uint32_t keep, uint8_t key, const void *data, size_t length);

// How often each bank was erased to be written anew, since the store was made. Every compaction raises the sequence by one
// and takes the other bank, bank 1 first, so the sequence counts both; one that the power cut before its end is not in it.
struct store_wear {
    uint32_t erased[2];
};

static inline struct store_wear store_wear(const struct store *store) {
    return (struct store_wear){{store->sequence / 2u, store->sequence / 2u + store->sequence % 2u}};
}

// Erases the bank that is not current, unless it is blank. 0 or STORE_FLASH.
int store_erase_old(const struct store *store);

#endif
