// SPDX-License-Identifier: Apache-2.0
// A part whose flash has no lock until the next reset, and whose debug port none at all; a family's file of this name
// replaces it.
#include "coffret/board.h"

void board_lock_flash(void) {}

void board_lock_debug(void) {}
