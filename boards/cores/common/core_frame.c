// SPDX-License-Identifier: Apache-2.0
// The registers that the processor pushed on a task's stack, as the monitor reads and answers calls by them.
#include "core_parts.h"

uint32_t core_frame_instruction(const struct core_context *context) {
    return frame_of(context)->pc;
}

bool core_frame_inside(const struct core_context *context, uint32_t base, uint32_t size) {
    uint32_t at = context->stack_pointer;
    return (at & 7u) == 0 && at >= base && size >= sizeof(struct frame) && at - base <= size - sizeof(struct frame);
}

uint32_t core_call_number(const struct core_context *context) {
    return frame_of(context)->r12;
}

uint32_t core_call_argument(const struct core_context *context, unsigned index) {
    const struct frame *frame = frame_of(context);
    return index == 0 ? frame->r0 : index == 1 ? frame->r1 : frame->r2;
}

void core_call_result(const struct core_context *context, uint32_t value) {
    frame_of(context)->r0 = value;
}

void core_call_result_wide(const struct core_context *context, uint64_t value) {
    struct frame *frame = frame_of(context);
    frame->r0 = (uint32_t)value;
    frame->r1 = (uint32_t)(value >> 32);
}

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
