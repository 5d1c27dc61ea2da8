// SPDX-License-Identifier: Apache-2.0
// Which slot runs next: the record STORE_BOOT_STATE, written by boot (trial, revert), by recovery and by the
// monitor (mark for test, confirm, reset into recovery).
#ifndef COFFRET_BOOT_STATE_H
#define COFFRET_BOOT_STATE_H

#include <stdint.h>

#include "coffret/boot_services.h"
#include "coffret/store.h"

#define BOOT_SLOT_NONE 0xFFu

enum boot_flag {
    BOOT_TRIED = 1,             // the pending slot has had its trial boot
    BOOT_RECOVERY = 2           // stay in recovery at the next boot, once: boot clears it before it obeys
};

struct boot_state {             // the record's four bytes
    uint8_t active;             // confirmed slot: 0 A, 1 B, or BOOT_SLOT_NONE
    uint8_t pending;            // slot to try, or BOOT_SLOT_NONE
    uint8_t flags;              // enum boot_flag
    uint8_t reason;             // enum reason of the last refusal
};

// What a record of `length` bytes, already copied into `state`, says; a negative length: there is none.
void boot_state_decode(struct boot_state *state, int length);
// No record, or one that makes no sense: no active slot, nothing pending.
void boot_state_load(const struct store *store, struct boot_state *state);
// 0 or a negative enum store_error.
int boot_state_save(struct store *store, const struct boot_state *state);

// `slot` gets one trial boot.
int boot_state_mark_test(struct store *store, uint8_t slot);
// The running slot becomes active, then `counter` (its image's security counter) the minimum if it is higher.
// Two records: boot must raise the minimum again for an active image, in case power was cut between them.
int boot_state_confirm(struct store *store, uint8_t slot, uint32_t counter);
// Enter recovery (1) or not (0) at the next boot.
int boot_state_set_recovery(struct store *store, int recovery);

// The minimum security counter, 0 when there is none.
uint32_t security_counter_load(const struct store *store);
// Never lowers it.
int security_counter_raise(struct store *store, uint32_t counter);

// The generation below which signing keys are revoked, 0 when there is none.
uint16_t key_floor_load(const struct store *store);
// Never lowers it.
int key_floor_raise(struct store *store, uint16_t floor);

// Lifecycle states (RFC 9783 section 4.3.1): the upper byte is the state. Without a record: a board that has its secret
// but not yet an endorsement.
#define LIFECYCLE_PROVISIONING 0x2000u
#define LIFECYCLE_SECURED 0x3000u
#define LIFECYCLE_DECOMMISSIONED 0x6000u
static inline int is_secured(uint16_t lifecycle) { return (lifecycle & 0xFF00u) == LIFECYCLE_SECURED; }

// What the device asks of an image.
void load_limits(const struct store *store, struct image_limits *limits);

#endif
