// SPDX-License-Identifier: Apache-2.0
// Where the image finds boot's services: at a fixed place in boot itself or, where boot lives in a Secure world, as a table
// of the image's own whose functions are gateways into it.
#ifndef COFFRET_BOOT_ACCESS_H
#define COFFRET_BOOT_ACCESS_H

#include "board_config.h"
#include "coffret/boot_services.h"

#ifdef BOARD_SECURE_WORLD
const struct boot_services *boot_services(void);
#else
static inline const struct boot_services *boot_services(void) {
    return (const struct boot_services *)(uintptr_t)(BOARD_BOOT_BASE + BOARD_BOOT_FIRST_STAGE + BOOT_SERVICES_OFFSET);
}
#endif

#endif
