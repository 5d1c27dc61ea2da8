// SPDX-License-Identifier: Apache-2.0
// Boot: choose a slot, verify it, measure it, derive who we are, lock the secrets away, jump.
#include "boot.h"

#include <string.h>

#include "board_config.h"
#include "coffret/board.h"
#include "coffret/crypto.h"
#include "coffret/flash.h"
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
    .p256_public_from = p256_public_from,
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
    facts->identity.lifecycle = limits.lifecycle;
    facts->boot_count = count_boot();
    memcpy(facts->identity.implementation_id, BOARD_IMPLEMENTATION_ID, sizeof BOARD_IMPLEMENTATION_ID - 1u);
    sha256(__boot_base, (size_t)(__boot_end - __boot_base), facts->identity.boot_digest);
    if (uds != NULL) {
        dice_derive_secret(uds, "coffret boot seed", &facts->boot_count, sizeof facts->boot_count,
                           facts->boot_seed);
    }
}

// ---- the end of a device ----

#ifdef BOOT_DECOMMISSION
// Of the records only what keeps an image from coming back that must not, and the end itself.
#define KEPT_RECORDS                                                                                                   \
    (1u << STORE_BOOT_STATE | 1u << STORE_SECURITY_COUNTER | 1u << STORE_LIFECYCLE | 1u << STORE_BOOT_COUNT |          \
     1u << STORE_KEY_FLOOR)

// Judges the order to decommission, if there is one, and forgets a false one.
static bool ordered(const uint8_t *uds) {
    struct handoff *facts = handoff();
    struct image_limits limits;
    size_t length;
    const uint8_t *order = store_find(&store, STORE_ORDER, &length);
    if (uds == NULL || order == NULL || length == 0u || dice_identify(uds, &store, facts) != 0) {
        return false;
    }
    load_limits(&store, &limits);
    bool good = decommission_ordered(order, length, facts->identity.instance_id, &limits);
    if (!good) {
        (void)store_put(&store, STORE_ORDER, "", 0u);
    }
    return good;
}

// Whether this device is decommissioned. First that is written down, in the step that forgets its other records; then
// what is secret is erased, now and, should the power go meanwhile, at each start again until nothing is left.
static bool is_decommissioned(const uint8_t *uds) {
    static const uint16_t end = LIFECYCLE_DECOMMISSIONED;
    if (handoff()->identity.lifecycle != end &&
        (!ordered(uds) || store_put_alone(&store, KEPT_RECORDS, STORE_LIFECYCLE, &end, sizeof end) != 0)) {
        return false;
    }
    struct image_limits limits;
    load_limits(&store, &limits); // from the store once more: nothing is erased because one branch went wrong
    if (limits.lifecycle != end) {
        return false;
    }
    handoff()->identity.lifecycle = end;
    (void)flash_erase_written(BOARD_SECRETS_OFFSET, BOARD_SECRETS_SIZE);
    (void)store_erase_old(&store);
    return true;
}
#else
static bool is_decommissioned(const uint8_t *uds) { return (void)uds, false; }
#endif

static const struct recovery_facts recovery = {
    .store = &store, .services = &services, .identity = &((const struct handoff *)BOARD_BOOT_HANDOFF_BASE)->identity};

// Nothing secret is left when the server starts: the handoff holds an alias key only when an image is about to run.
__attribute__((noreturn)) static void recover(const uint8_t *uds) {
    struct handoff *facts = handoff();
    if (uds != NULL) {
        (void)dice_identify(uds, &store, facts);
    }
    wipe(facts->boot_seed, sizeof facts->boot_seed);
    boot_lock_secrets();
    recovery_run(&recovery);
}

static void load_macs(const uint8_t *uds, const struct handoff *facts, struct image_macs *macs) {
    memset(macs, 0, sizeof *macs);
    const uint8_t *boot = facts->identity.boot_digest;
    dice_derive_secret(uds, "coffret image MAC", boot, sizeof facts->identity.boot_digest, macs->key);
    dice_derive_secret(uds, "coffret image MAC", boot, sizeof facts->identity.boot_digest, macs->key_again);
    // Without a record: not what a MAC that was never computed would be (image.c).
    memset(macs->macs, 0xA5, sizeof macs->macs);
    (void)store_get(&store, STORE_IMAGE_MAC, macs->macs, sizeof macs->macs);
}

static void describe_image(const struct choice *choice, const struct image_info *info, struct handoff *facts) {
    facts->slot = choice->slot;
    facts->trial = choice->trial;
    facts->security_counter = info->security_counter;
    // Digest, policy digest and signer stand in both in this order.
    _Static_assert(offsetof(struct image_info, revokes_below) - offsetof(struct image_info, digest) == 96u &&
                       offsetof(struct handoff, boot_seed) - offsetof(struct handoff, image_digest) == 96u,
                   "nothing else is between them");
    memcpy(facts->image_digest, info->digest, 96u);
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
    if (is_secured(handoff()->identity.lifecycle)) {
        board_lock_debug();
    }
    bool asked = (state.flags & BOOT_RECOVERY) != 0u;
    if (asked) {
        // Cleared before it is obeyed: once is once, even if the power goes.
        state.flags &= (uint8_t)~BOOT_RECOVERY;
        (void)boot_state_save(&store, &state);
    }
    uint8_t slot = BOOT_SLOT_NONE;
    bool ended = is_decommissioned(uds);
    if (ended) {
        uds = NULL;
    }
    if (uds == NULL) {
        state.reason = ended ? REASON_DECOMMISSIONED : REASON_IDENTITY;
        (void)boot_state_save(&store, &state);
    } else if (!asked && !faulted) {
        slot = prepare_image(uds, &state, &image);
    }
    if (slot == BOOT_SLOT_NONE) {
        recover(uds);
    }
    if (handoff()->trial != 0u) {
        // Whoever hangs now is reset by it, and has had his trial.
        (void)board_watchdog_start(BOARD_TRIAL_MS);
    }
    start_image(uds, slot, &image, &state);
}
