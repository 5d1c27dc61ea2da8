// SPDX-License-Identifier: Apache-2.0
// The only instructions of the Secure world that Non-secure code may jump to: SG, then the function. They stand in the
// order of enum gateway (gateways.h) at a fixed place, which the linker's own veneers would not.
#include "board_config.h"

    .syntax unified
    .thumb

    .macro gateway function
    sg
    b.w     \function
    .endm

    .section .gateways, "axR", %progbits // R: nothing calls them, and all that they call is kept
    .balign 32
    gateway gateway_version
    gateway gateway_sha256_init
    gateway gateway_sha256_update
    gateway gateway_sha256_finish
    gateway gateway_check_image
    gateway gateway_attest
    gateway gateway_attest_read
    gateway gateway_flash_erase
    gateway gateway_flash_program
    gateway gateway_store_get
    gateway gateway_store_put
#ifdef BOARD_WATCHDOG_SECURE
    gateway gateway_watchdog
#else
    // The granule's rest must not be code of anybody.
    udf     #0
    udf     #0
    udf     #0
    udf     #0
#endif
