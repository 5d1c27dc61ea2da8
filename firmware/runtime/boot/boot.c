// SPDX-License-Identifier: Apache-2.0
// Boot: choose a slot, verify it, measure it, derive who we are, lock the secrets away, jump.
#include "boot.h"

#include <string.h>

#include "board_config.h"
#include "coffret/board.h"
#include "coffret/crypto.h"
#include "coffret/reason.h"
#include "coffret/recovery.h"

_Static_assert(sizeof(struct handoff) <= BOARD_HANDOFF_SIZE, "the handoff fits its place");

extern const uint8_t __boot_base[];
extern const uint8_t __boot_end[];

__attribute__((section(".boot_services"), used)) static const struct boot_services services = {
    .magic = BOOT_SERVICES_MAGIC,
    .version = BOOT_SERVICES_VERSION,
    .sha256_init = sha256_init,
    .sha256_update = sha256_update,
    .sha256_finish = sha256_finish,
    .p256_sign = p256_sign,
    .check_image = boot_check_image,
};

const struct boot_services *boot_own_services(void) { return &services; }

static struct handoff *handoff(void) { return (struct handoff *)BOARD_BOOT_HANDOFF_BASE; }

static struct store store;

static uint32_t count_boot(void) {
    uint32_t count = 0;
    (void)store_get(&store, STORE_BOOT_COUNT, &count, sizeof count);
    count++;
    // Refused by the flash, the seed below repeats: a verifier sees it, and the board still starts.
    (void)store_put(&store, STORE_BOOT_COUNT, &count, sizeof count);
    return count;
}

// The facts that depend neither on the image nor on a slow computation. `uds` may be NULL.
static void describe_device(const uint8_t *uds, struct handoff *facts) {
    facts->magic = HANDOFF_MAGIC;
    facts->version = HANDOFF_VERSION;
    struct image_limits limits;
    load_limits(&store, &limits);
    facts->lifecycle = limits.lifecycle;
    facts->boot_count = count_boot();
    memcpy(facts->implementation_id, BOARD_IMPLEMENTATION_ID, sizeof BOARD_IMPLEMENTATION_ID - 1u);
    sha256(__boot_base, (size_t)(__boot_end - __boot_base), facts->boot_digest);
    if (uds != NULL) {
        dice_derive_secret(uds, "coffret boot seed", &facts->boot_count, sizeof facts->boot_count,
                           facts->boot_seed);
    }
}

static struct recovery_facts recovery;

// Nothing secret is left when the server starts: the handoff holds an alias key only when an image is about to run.
__attribute__((noreturn)) static void recover(const uint8_t *uds) {
    struct handoff *facts = handoff();
    if (uds != NULL) {
        (void)dice_identify(uds, facts);
    }
    wipe(facts->boot_seed, sizeof facts->boot_seed);
    boot_lock_secrets();
    recovery.store = &store;
    recovery.services = &services;
    memcpy(recovery.identity.instance_id, facts->instance_id, sizeof facts->instance_id);
    memcpy(recovery.identity.key, facts->identity_public, sizeof facts->identity_public);
    memcpy(recovery.identity.implementation_id, facts->implementation_id, sizeof facts->implementation_id);
    memcpy(recovery.identity.boot_digest, facts->boot_digest, sizeof facts->boot_digest);
    recovery.identity.lifecycle = facts->lifecycle;
    recovery_run(&recovery);
}

static void load_macs(const uint8_t *uds, const struct handoff *facts, struct image_macs *macs) {
    memset(macs, 0, sizeof *macs);
    dice_derive_secret(uds, "coffret image MAC", "", 0u, macs->key);
    dice_derive_secret(uds, "coffret image MAC", "", 0u, macs->key_again);
    memcpy(macs->boot_digest, facts->boot_digest, sizeof macs->boot_digest);
    // Without a record: not what a MAC that was never computed would be (image.c).
    memset(macs->macs, 0xA5, sizeof macs->macs);
    (void)store_get(&store, STORE_IMAGE_MAC, macs->macs, sizeof macs->macs);
}

static void describe_image(const struct choice *choice, const struct image_info *info, struct handoff *facts) {
    facts->slot = choice->slot;
    facts->trial = choice->trial;
    facts->security_counter = info->security_counter;
    memcpy(facts->image_digest, info->digest, sizeof facts->image_digest);
    memcpy(facts->policy_digest, info->policy_digest, sizeof facts->policy_digest);
    memcpy(facts->signer_id, info->signer_id, sizeof facts->signer_id);
}

// Picks the image and completes the handoff for it. Returns the slot, or BOOT_SLOT_NONE.
static uint8_t prepare_image(const uint8_t *uds, struct boot_state *state, struct checked_image *image) {
    struct handoff *facts = handoff();
    struct image_macs macs;
    load_macs(uds, facts, &macs);
    struct choice choice = choose_slot(&store, state, image, &macs);
    if (macs.changed) {
        // Lost, it costs the next boot one signature check.
        (void)store_put(&store, STORE_IMAGE_MAC, macs.macs, sizeof macs.macs);
    }
    wipe(&macs, sizeof macs);
    if (choice.slot == BOOT_SLOT_NONE) {
        return BOOT_SLOT_NONE;
    }
    facts->last_reason = state->reason;
    describe_image(&choice, &image->info, facts);
    return dice_certify(uds, &store, facts) == 0 ? choice.slot : BOOT_SLOT_NONE;
}

// Once more, and independent of all that was decided before: is what lies in `slot` what was verified? The address of
// the jump is made of the answer, so that skipping the branch on it leads nowhere.
__attribute__((noreturn)) static void start_image(const uint8_t *uds, uint32_t slot, const struct checked_image *image,
                                                  struct boot_state *state) {
    uint32_t address = slot_address(slot);
    uint32_t proof = image_proof(address);
    if (image->proof != proof) {
        state->reason = REASON_FAULT;
        (void)boot_state_save(&store, state);
        recover(uds);
    }
    boot_lock_secrets();
    // The header is 0x200 bytes, so the vector table behind it is aligned as VTOR asks.
    boot_enter_image((address ^ image->proof ^ proof) + 0x200u);
}

void boot_main(bool faulted) {
    struct boot_state state;
    static struct checked_image image; // no proof in it: RAM that was cleared
    board_init();
    store_open(&store, BOARD_STORE_OFFSET, BOARD_STORE_BANK_SIZE);
    boot_state_load(&store, &state);
    memset(handoff(), 0, sizeof *handoff());

    const uint8_t *uds = dice_device_secret();
    describe_device(uds, handoff());
    bool asked = (state.flags & BOOT_RECOVERY) != 0u;
    if (asked) {
        // Cleared before it is obeyed: once is once, even if the power goes.
        state.flags &= (uint8_t)~BOOT_RECOVERY;
        (void)boot_state_save(&store, &state);
    }
    uint8_t slot = BOOT_SLOT_NONE;
    if (uds == NULL) {
        state.reason = REASON_IDENTITY;
        (void)boot_state_save(&store, &state);
    } else if (!asked && !faulted) {
        slot = prepare_image(uds, &state, &image);
    }
    if (slot == BOOT_SLOT_NONE) {
        recover(uds);
    }
    start_image(uds, slot, &image, &state);
}
