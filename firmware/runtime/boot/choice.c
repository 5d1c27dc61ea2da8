// SPDX-License-Identifier: Apache-2.0
// Which slot runs: trial, confirmed, or the other one (docs/internals.md, Record store).
#include "boot.h"
#include "coffret/reason.h"
#include "coffret/section.h"

static uint32_t rank(const struct image_version *version) {
    return (uint32_t)version->major << 24 | (uint32_t)version->minor << 16 | version->revision;
}

static bool is_newer(const struct image_version *a, const struct image_version *b) {
    return rank(a) != rank(b) ? rank(a) > rank(b) : a->build > b->build;
}

// The pending slot, at most once. That it was tried is in flash before anything of it runs or is even looked at: an
// image that hangs, or breaks the check itself, has had its turn.
static bool try_pending(struct store *store, struct boot_state *state, const struct image_limits *limits,
                        struct checked_image *image, struct image_macs *macs) {
    int reason = REASON_NOT_CONFIRMED;
    if ((state->flags & BOOT_TRIED) == 0u) {
        state->flags |= BOOT_TRIED;
        reason = REASON_FLASH;
        if (boot_state_save(store, state) == 0) {
            reason = image_check(state->pending, limits, image, macs);
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
static uint8_t first_slot(struct boot_state *state, const struct image_limits *limits, struct checked_image *image,
                          struct image_macs *macs) {
    struct checked_image other;
    int reason_a = image_check(0u, limits, image, macs);
    int reason_b = image_check(1u, limits, &other, macs);
    if (reason_b == REASON_OK && (reason_a != REASON_OK || is_newer(&other.info.version, &image->info.version))) {
        *image = other;
        return 1u;
    }
    if (reason_a == REASON_OK) {
        return 0u;
    }
    // An empty slot is no news; the other's fault is.
    state->reason = (uint8_t)(reason_a != REASON_NO_IMAGE ? reason_a : reason_b);
    return BOOT_SLOT_NONE;
}

BOOT_STEP struct choice choose_slot(struct store *store, struct boot_state *state, struct checked_image *image,
                                    struct image_macs *macs) {
    struct image_limits limits;
    load_limits(store, &limits);
    struct choice choice = {.slot = BOOT_SLOT_NONE, .trial = false};
    if (state->pending != BOOT_SLOT_NONE && try_pending(store, state, &limits, image, macs)) {
        choice.slot = state->pending;
        choice.trial = true;
        return choice; // the state was saved before the trial
    }
    if (state->active == BOOT_SLOT_NONE) {
        state->active = first_slot(state, &limits, image, macs);
        choice.slot = state->active;
    } else {
        int reason = image_check(state->active, &limits, image, macs);
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
        // The confirmed image runs. Confirming is two records; this mends a cut between them. What it revokes is
        // revoked now: never while it is on trial, so that there is something to go back to.
        if (security_counter_raise(store, image->info.security_counter) != 0 ||
            key_floor_raise(store, image->info.revokes_below) != 0) {
            state->reason = REASON_FLASH;
        }
    } else if (state->active != BOOT_SLOT_NONE) {
        // Last resort. Not confirmed: `active` stays, and so does the counter.
        uint8_t other = (uint8_t)(1u - state->active);
        if (image_check(other, &limits, image, macs) == REASON_OK) {
            choice.slot = other;
        }
    }
    return choice;
}
