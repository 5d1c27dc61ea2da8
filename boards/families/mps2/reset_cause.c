// SPDX-License-Identifier: Apache-2.0
// Why the last reset happened (Arm DDI 0479 section 4.2: the CMSDK system controller).
#include "board_config.h"
#include "cmsdk.h"
#include "coffret/board.h"

#ifdef BOARD_SYSTEM_CONTROLLER_BASE
enum board_reset_cause board_reset_cause(void) {
    // RSTINFO: 0 SYSRESETREQ, 1 watchdog, 2 lock-up. QEMU 7.2 does not model it and reads 0.
    uint32_t bits = reset_information();
    clear_reset_information(bits);
    if ((bits & 2u) != 0u) {
        return BOARD_RESET_WATCHDOG;
    }
    return (bits & 1u) != 0u ? BOARD_RESET_SOFTWARE : BOARD_RESET_UNKNOWN;
}
#else
// The IoT Kit keeps the reason in RESET_SYNDROME of its system control block (ECM 0601256), which only the Secure world
// reads; boot does not ask for it.
enum board_reset_cause board_reset_cause(void) { return BOARD_RESET_UNKNOWN; }
#endif
