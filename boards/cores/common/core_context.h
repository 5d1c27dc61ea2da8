// SPDX-License-Identifier: Apache-2.0
// What the monitor keeps of a task that does not run. The rest (r0-r3, r12, lr, pc, xPSR) the processor has
// pushed on the task's own stack. Kept in the monitor's memory, so that no task can choose how an exception
// returns. core.c reaches the fields by their order.
#ifndef COMMON_CORE_CONTEXT_H
#define COMMON_CORE_CONTEXT_H

#include <stdint.h>

// EXC_RETURN (DDI 0403, section B1.5.8): thread mode, a frame without floating point.
#define RETURN_TO_IDLE 0xFFFFFFF9u // main stack
#define RETURN_TO_TASK 0xFFFFFFFDu // process stack

struct core_context {
    uint32_t callee_saved[8];       // r4-r11
    uint32_t stack_pointer;         // PSP
    uint32_t exception_return;      // EXC_RETURN
    uint32_t control;               // CONTROL: unprivileged but for the idle loop
};

#endif
