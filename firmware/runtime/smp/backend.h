// SPDX-License-Identifier: Apache-2.0
// What the SMP server asks of the place it runs in: boot's recovery or the manager service. Functions at link
// time, because each image has exactly one of them.
#ifndef COFFRET_SMP_BACKEND_H
#define COFFRET_SMP_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "coffret/boot_services.h"
#include "coffret/boot_state.h"
#include "coffret/handoff.h"
#include "coffret/syscall.h"

struct slot_image;

// The management port. Returns when all of it is on its way.
void smp_port_write(const uint8_t *data, size_t length);

// "recovery" or "application": what os/bootloader info answers to the query "mode".
const char *smp_mode(void);
// Resets the board; `recovery`: and stay in recovery. It need not return.
void smp_reset(bool recovery);

// The slot this code runs from: 0, 1, or BOOT_SLOT_NONE in recovery.
uint8_t smp_running_slot(void);
void smp_boot_state(struct boot_state *state);
// What the device asks of an image.
void smp_limits(struct image_limits *limits);
// One trial boot for `slot`. False: it could not be stored.
bool smp_mark_test(uint8_t slot);
// Confirm the running image; `slot` is what the host named, BOOT_SLOT_NONE: it named none. 0 or an enum image_error.
int smp_confirm(uint8_t slot);
// Is this newer than what runs? Where nothing runs, everything is.
bool smp_is_upgrade(const struct slot_image *image);

// A slot as it can be read in place, BOARD_SLOT_SIZE bytes.
const uint8_t *smp_slot_address(uint8_t slot);
// The digest of the whole image that seems to be in a slot; NULL: there is none.
const uint8_t *smp_slot_digest(uint8_t slot);
// Before anything is erased in a slot: 0, or why not (enum smp_result or IMAGE_ERROR).
int smp_slot_claim(uint8_t slot);
// Offsets from the start of the slot, whole erase blocks or program units. False: the flash refused.
bool smp_slot_erase(uint8_t slot, uint32_t offset, uint32_t length);
bool smp_slot_program(uint8_t slot, uint32_t offset, const uint8_t *data, uint32_t length);

// How far an upload is, kept over a reset. It decides nothing but where the host goes on: what was written before is
// hashed again, and the finished image is checked as any other.
struct upload_mark {
    uint32_t offset;        // so much of the file has been taken; 0: nothing is kept
    uint32_t written;       // bytes in the slot: as many, if the file is an image
    uint32_t cursor;        // in the base, if it is a delta
    // Which upload it is.
    uint32_t length;        // of the file
    uint8_t sha[32];
    uint8_t slot;
    uint8_t reserved[3];    // 0
};
void smp_mark_save(const struct upload_mark *mark);
bool smp_mark_load(struct upload_mark *mark);

// An image was refused (enum reason): for the log, where there is one.
void smp_refused(uint8_t slot, uint8_t reason);

// Public facts of the device, valid until the next call.
const struct identity *smp_identity_facts(void);

#endif
