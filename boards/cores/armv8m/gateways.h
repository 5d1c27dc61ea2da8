// SPDX-License-Identifier: Apache-2.0
// The gateways of the Secure world: every way in. Their order is what boot_veneers.S and core_gateways.c agree on; an
// image and a boot of different versions meet at these addresses, so a number is never given to another function.
//
// Rules that all of them keep (docs/secure-world.md):
//   - no key goes in or comes out, and nothing that the caller chose but its nonce is signed;
//   - a pointer is an allegation: the whole range must be memory that the caller could have used itself, Non-secure, by
//     the caller's own protection unit and privilege (the TT instruction);
//   - an unprivileged caller must have been granted boot by the monitor (a region over these addresses, as it must be on
//     a part without a Secure world for the call to work at all);
//   - flash and records are for the privileged side of the Non-secure world, the monitor, and within bounds that hold
//     even if it is no monitor any more.
#ifndef ARMV8M_GATEWAYS_H
#define ARMV8M_GATEWAYS_H

#include "board_config.h"

enum gateway {
    GATEWAY_VERSION_OF,     // -> GATEWAYS_VERSION
    GATEWAY_SHA256_INIT,    // context
    GATEWAY_SHA256_UPDATE,  // context, data, length
    GATEWAY_SHA256_FINISH,  // context, digest[32]
    GATEWAY_CHECK_IMAGE,    // slot, minimum counter, struct image_info * -> enum reason
    GATEWAY_ATTEST,         // nonce, length, struct attest_state * -> bytes of the reply
    GATEWAY_ATTEST_READ,    // offset in the reply, buffer, length -> 0
    GATEWAY_FLASH_ERASE,    // as coffret/flash.h; the slot that does not run only
    GATEWAY_FLASH_PROGRAM,
    GATEWAY_STORE_GET,      // as coffret/store.h: key, buffer, capacity
    GATEWAY_STORE_PUT,      // key, data, length
    GATEWAY_WATCHDOG,       // milliseconds to start it with, 0 to feed it -> 0; where BOARD_WATCHDOG_SECURE
    GATEWAY_COUNT
};

#define GATEWAYS_VERSION 1u

// What the Secure world leaves in MMFAR when it passes on a fault whose address it was not told (QEMU 7.2 tells none).
#define FAULT_WITHOUT_ADDRESS 0xFFFFFFFFu

// A negative answer of the gateway itself, far from those of what lies behind it.
enum gateway_error {
    GATEWAY_BUSY = -1000,   // another task is inside: again later
    GATEWAY_DENIED = -1001, // not for this caller, or not within the bounds
    GATEWAY_POINTER = -1002,
    GATEWAY_FAILED = -1003
};

// Behind the services of boot (boot.ld). One veneer has 8 bytes.
#define GATEWAYS_OFFSET 0x120u
#define GATEWAYS_SIZE 0x60u
#define GATEWAYS_BASE (BOARD_BOOT_BASE + GATEWAYS_OFFSET)
#define GATEWAY_ADDRESS(number) (GATEWAYS_BASE + 8u * (number) + 1u)

#endif
