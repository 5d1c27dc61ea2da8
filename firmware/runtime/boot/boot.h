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

// ---- keys.c (made by firmware/boot_build.py): whose images this boot starts ----

struct boot_key {
    uint8_t hash[32];   // SHA-256 of the DER SubjectPublicKeyInfo: the KEYHASH TLV
    uint8_t key[64];    // X || Y
};
extern const struct boot_key boot_keys[];
extern const uint32_t boot_key_count;

// ---- image.c: is it an image we may start ----

// Memory of full checks. Once a signature was verified, a MAC under a device secret stands for it.
struct image_macs {
    uint8_t key[32];
    uint8_t boot_digest[32];    // a boot with other keys must not trust the MACs of this one
    uint8_t macs[SLOTS][32];
    bool changed;               // save `macs`
};

// `macs` NULL: always the full check. Returns enum reason; `info` is complete only for REASON_OK.
int image_check(uint32_t slot, uint32_t minimum_counter, struct image_info *info, struct image_macs *macs);
// The same as a boot service.
int boot_check_image(uint32_t slot, uint32_t minimum_counter, struct image_info *info);
// Where the slot's image begins in the address space.
uint32_t slot_address(uint32_t slot);

// ---- choice.c: which slot runs ----

struct choice {
    uint8_t slot;               // or BOOT_SLOT_NONE
    bool trial;
};

// Follows and updates the boot state; saves it. `info` describes the chosen image.
struct choice choose_slot(struct store *store, struct boot_state *state, struct image_info *info,
                          struct image_macs *macs);

// ---- dice.c: who is this device, and what does it run ----

// The UDS where it lies in flash; NULL: the board was never given one.
const uint8_t *dice_device_secret(void);
// A further secret of the device (or of a CDI), for `purpose`.
void dice_derive_secret(const uint8_t secret[32], const char *purpose, const void *salt, size_t salt_length,
                        uint8_t derived[32]);
// The device identity: public key and instance id. 0 on success.
int dice_identify(const uint8_t uds[32], struct handoff *handoff);
// Identity, alias key and certificate for what was measured (already in the handoff): from the copy in the store if
// it is this image's, else derived and kept there. 0 on success.
int dice_certify(const uint8_t uds[32], struct store *store, struct handoff *handoff);

#endif
