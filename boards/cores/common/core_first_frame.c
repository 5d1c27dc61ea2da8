// SPDX-License-Identifier: Apache-2.0
// The frame of a task that has not run yet.
#include "core_parts.h"

uint32_t core_push_frame(
    uint32_t stack_top, void (*entry)(const struct task *), const struct task *argument, void (*after)(void)) {
    struct frame *frame = (struct frame *)stack_top - 1;
    *frame = (struct frame){
        .r0 = (uint32_t)argument,
        .lr = (uint32_t)after,
        .pc = (uint32_t)entry & ~1u,
        .xpsr = XPSR_THUMB,
    };
    return (uint32_t)frame;
}
