// SPDX-License-Identifier: Apache-2.0
// What the monitor keeps of a task that does not run. The rest (r0-r3, r12, lr, pc, xPSR) the processor has
// pushed on the task's own stack, or, where the task was inside a gateway, on the Secure stack, out of our sight.
// Kept in the monitor's memory, so that no task can choose how an exception returns. core.c reaches the fields
// by their order.
#ifndef ARMV8M_CORE_CONTEXT_H
#define ARMV8M_CORE_CONTEXT_H

#include <stdint.h>

// EXC_RETURN of the Non-secure world (section B3.21): thread mode, frame on the Non-secure stack.
#define RETURN_TO_IDLE 0xFFFFFFB8u  // main stack
#define RETURN_TO_TASK 0xFFFFFFBCu  // process stack
#define RETURN_FRAME_IS_SECURE 0x40u // the task was interrupted inside a gateway

struct core_context {
    uint32_t callee_saved[8];       // r4-r11
    uint32_t stack_pointer;         // PSP
    uint32_t stack_limit;           // PSPLIM
    uint32_t exception_return;      // EXC_RETURN; bit 6 says that the frame is on the Secure stack
    uint32_t control;               // CONTROL: unprivileged but for the idle loop
};

#endif
