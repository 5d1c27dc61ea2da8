// SPDX-License-Identifier: Apache-2.0
// The port's part of the `machine` module; extmod/modmachine.c includes it. Only mem8, mem16, mem32 and idle are
// offered: what an enclave may touch is decided by the monitor's memory protection, not here.
#include "coffret/syscall.h"

static void mp_machine_idle(void) {
    syscall3(SYS_YIELD, 0, 0, 0);
}
