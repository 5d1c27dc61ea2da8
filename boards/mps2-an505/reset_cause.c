// SPDX-License-Identifier: Apache-2.0
// The IoT Kit keeps the reason in RESET_SYNDROME of its system control block (ECM 0601256), which only the Secure world
// reads; boot does not ask for it.
#include "coffret/board.h"

enum board_reset_cause board_reset_cause(void) { return BOARD_RESET_UNKNOWN; }
