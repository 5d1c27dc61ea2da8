// SPDX-License-Identifier: Apache-2.0
// The registers that the processor pushed on a task's stack, as the monitor reads and answers calls by them: here and not
// in a file of their own, for each call of the monitor does.
#ifndef COMMON_CORE_FRAME_H
#define COMMON_CORE_FRAME_H

#include <stdbool.h>
#include <stdint.h>

// Included by coffret/core.h, behind the core's own core_context.h.

// What the processor pushes (DDI 0403, section B1.5.6).
struct frame {
    uint32_t r0, r1, r2, r3, r12, lr, pc, xpsr;
};

static inline struct frame *frame_of(const struct core_context *context) {
    return (struct frame *)(uintptr_t)context->stack_pointer;
}

// Whether what the core has pushed on the task's stack lies inside [base, base + size). Until that is known
// none of the following may be used.
static inline bool core_frame_inside(const struct core_context *context, uint32_t base, uint32_t size) {
    uint32_t at = context->stack_pointer;
    return (at & 7u) == 0 && at >= base && size >= sizeof(struct frame) && at - base <= size - sizeof(struct frame);
}

// Where it was.
static inline uint32_t core_frame_instruction(const struct core_context *context) {
    return frame_of(context)->pc;
}

static inline uint32_t core_call_number(const struct core_context *context) {
    return frame_of(context)->r12;
}

// `index` 0..2.
static inline uint32_t core_call_argument(const struct core_context *context, unsigned index) {
    const struct frame *frame = frame_of(context);
    return index == 0 ? frame->r0 : index == 1 ? frame->r1 : frame->r2;
}

static inline void core_call_result(const struct core_context *context, uint32_t value) {
    frame_of(context)->r0 = value;
}

static inline void core_call_result_wide(const struct core_context *context, uint64_t value) {
    struct frame *frame = frame_of(context);
    frame->r0 = (uint32_t)value;
    frame->r1 = (uint32_t)(value >> 32);
}

#endif
