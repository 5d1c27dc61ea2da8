// SPDX-License-Identifier: Apache-2.0
// Private to boot: what its files share.
#ifndef BOOT_BOOT_H
#define BOOT_BOOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "coffret/boot_services.h"
#include "coffret/boot_state.h"
#include "coffret/handoff.h"
#include "coffret/store.h"

#define SLOTS 2u

// ---- boot.c, and the core's part (boards/cores/*/boot_start.c) ----

// `faulted`: the last start ended in a fault of boot's own.
__attribute__((noreturn)) void boot_main(bool faulted);
// The structure at BOOT_SERVICES_OFFSET, for who is linked with boot.
const struct boot_services *boot_own_services(void);

// No access to the secrets for anybody, until the next reset.
void boot_lock_secrets(void);
// Erases boot's RAM and the registers, then starts what the vector table at `table` names.
__attribute__((noreturn)) void boot_enter_image(uint32_t table);

// ---- keys.c (made by firmware/compiler/boot_build.py): whose images this boot starts ----

enum boot_key_role { KEY_RELEASE = 0, KEY_DEVELOPMENT = 1 };

struct boot_key {
    uint8_t hash[32];   // SHA-256 of the DER SubjectPublicKeyInfo: the KEYHASH TLV
    uint8_t key[64];    // X || Y; of an LMS key as RFC 8554 section 5.3 has it, and zeros
    uint16_t generation;
    uint16_t role;      // enum boot_key_role
};
extern const struct boot_key boot_keys[];
extern const uint32_t boot_key_count;
// So many LMS keys stand behind them. With any, one of these must have signed too.
#ifdef BOOT_POST_QUANTUM
extern const uint32_t boot_lms_key_count;
#else
#define boot_lms_key_count 0u
#endif
#ifdef BOOT_THRESHOLD
// So many of them must have signed, else one. Read anew at each use, so that a skipped load misleads one of them.
extern const volatile uint32_t boot_threshold;
#endif

// ---- image.c: is it an image we may start ----

// Memory of full checks. Once the signatures were verified, a MAC under a device secret stands for them.
struct image_macs {
    uint8_t key[32];            // of this boot: one with other keys must not trust the MACs of this one
    uint8_t key_again[32];      // derived a second time: a skipped derivation would leave a key anybody knows
    uint8_t macs[SLOTS][32];
    bool changed;               // save `macs`
};

// An image that was looked at. `proof` is a sum of the words that its comparisons returned, each of which is
// MEMORY_EQUAL only if it held (coffret/crypto.h). It has the one value that image_proof() tells for its place only if
// every check was made and held; so nobody needs to trust the branches in between. Written through memory, so that a
// compiler cannot know its value.
struct checked_image {
    struct image_info info;     // complete only for REASON_OK
    volatile uint32_t proof;
};

// `macs` NULL: always the full check. Returns enum reason.
int image_check(uint32_t slot, const struct image_limits *limits, struct checked_image *image,
                struct image_macs *macs);
// Is this TLV area an order to decommission the device of this instance id, signed as an image has to be?
bool decommission_ordered(const uint8_t *order, size_t length, const uint8_t instance_id[33],
                          const struct image_limits *limits);
// What the proof of a good image at `address` is.
uint32_t image_proof(uint32_t address);
// The same as a boot service.
int boot_check_image(uint32_t slot, const struct image_limits *limits, struct image_info *info);
// The digest that the image in a slot names, if it is one by its form; else NULL. Of its origin this says nothing.
const uint8_t *image_digest(uint32_t slot);
// Where the slot's image begins, in the flash and in the address space.
uint32_t slot_offset(uint32_t slot);
uint32_t slot_address(uint32_t slot);

// ---- choice.c: which slot runs ----

struct choice {
    uint8_t slot;               // or BOOT_SLOT_NONE
    bool trial;
};

// Follows and updates the boot state; saves it. `image` is the chosen one.
struct choice choose_slot(struct store *store, struct boot_state *state, struct checked_image *image,
                          struct image_macs *macs);

// ---- dice.c: who is this device, and what does it run ----

// The UDS where it lies in flash; NULL: the board was never given one.
const uint8_t *dice_device_secret(void);
// A further secret of the device (or of a CDI), for `purpose`.
void dice_derive_secret(const uint8_t secret[32], const char *purpose, const void *salt, size_t salt_length,
                        uint8_t derived[32]);
// The device identity: public key and instance id. 0 on success.
int dice_identify(const uint8_t uds[32], const struct store *store, struct handoff *handoff);
// Identity, alias key and certificate for what was measured (already in the handoff): from the copy in the store if
// it is this image's, else derived and kept there. 0 on success.
int dice_certify(const uint8_t uds[32], struct store *store, struct handoff *handoff);

#endif
