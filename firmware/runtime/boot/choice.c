// SPDX-License-Identifier: Apache-2.0
// Which slot runs: trial, confirmed, or the other one (docs/internals.md, Record store).
#include "boot.h"
#include "coffret/reason.h"

static bool is_newer(const struct image_info *a, const struct image_info *b) {
    if (a->version_major != b->version_major) {
        return a->version_major > b->version_major;
    }
    if (a->version_minor != b->version_minor) {
        return a->version_minor > b->version_minor;
    }
    if (a->version_revision != b->version_revision) {
        return a->version_revision > b->version_revision;
    }
    return a->version_build > b->version_build;
}

// The pending slot, at most once. That it was tried is in flash before anything of it runs or is even looked at: an
// image that hangs, or breaks the check itself, has had its turn.
static bool try_pending(struct store *store, struct boot_state *state, uint32_t minimum, struct image_info *info,
                        struct image_macs *macs) {
    int reason = REASON_NOT_CONFIRMED;
    if ((state->flags & BOOT_TRIED) == 0u) {
        state->flags |= BOOT_TRIED;
        reason = REASON_FLASH;
        if (boot_state_save(store, state) == 0) {
            reason = image_check(state->pending, minimum, info, macs);
        }
    }
    if (reason == REASON_OK) {
        return true;
    }
    state->pending = BOOT_SLOT_NONE;
    state->flags &= (uint8_t)~BOOT_TRIED;
    state->reason = (uint8_t)reason;
    return false;
}

// First flash: the newer of what is valid.
static uint8_t first_slot(struct boot_state *state, uint32_t minimum, struct image_info *info,
                          struct image_macs *macs) {
    struct image_info other;
    int reason_a = image_check(0u, minimum, info, macs);
    int reason_b = image_check(1u, minimum, &other, macs);
    if (reason_b == REASON_OK && (reason_a != REASON_OK || is_newer(&other, info))) {
        *info = other;
        return 1u;
    }
    if (reason_a == REASON_OK) {
        return 0u;
    }
    // An empty slot is no news; the other's fault is.
    state->reason = (uint8_t)(reason_a != REASON_NO_IMAGE ? reason_a : reason_b);
    return BOOT_SLOT_NONE;
}

struct choice choose_slot(struct store *store, struct boot_state *state, struct image_info *info,
                          struct image_macs *macs) {
    uint32_t minimum = security_counter_load(store);
    struct choice choice = {.slot = BOOT_SLOT_NONE, .trial = false};
    if (state->pending != BOOT_SLOT_NONE && try_pending(store, state, minimum, info, macs)) {
        choice.slot = state->pending;
        choice.trial = true;
        return choice; // the state was saved before the trial
    }
    if (state->active == BOOT_SLOT_NONE) {
        state->active = first_slot(state, minimum, info, macs);
        choice.slot = state->active;
    } else {
        int reason = image_check(state->active, minimum, info, macs);
        if (reason == REASON_OK) {
            choice.slot = state->active;
        } else {
            state->reason = (uint8_t)reason;
        }
    }
    // A record that is already there costs nothing. If the flash refuses, the board still starts what is good.
    if (boot_state_save(store, state) != 0) {
        state->reason = REASON_FLASH;
    }
    if (choice.slot != BOOT_SLOT_NONE) {
        // The confirmed image runs. Confirming is two records; this mends a cut between them.
        if (security_counter_raise(store, info->security_counter) != 0) {
            state->reason = REASON_FLASH;
        }
    } else if (state->active != BOOT_SLOT_NONE) {
        // Last resort. Not confirmed: `active` stays, and so does the counter.
        uint8_t other = (uint8_t)(1u - state->active);
        if (image_check(other, minimum, info, macs) == REASON_OK) {
            choice.slot = other;
        }
    }
    return choice;
}
