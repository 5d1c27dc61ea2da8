// SPDX-License-Identifier: Apache-2.0
// A part whose flash has no lock until the next reset; a family's file of this name replaces it.
#include "coffret/board.h"

void board_lock_flash(void) {}
