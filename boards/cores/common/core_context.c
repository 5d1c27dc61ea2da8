// SPDX-License-Identifier: Apache-2.0
// Contexts that have not run yet.
#include "core_parts.h"

void core_context_idle(struct core_context *context) {
    context->exception_return = RETURN_TO_IDLE;
    context->control = 0;
}

void core_context_task(
    struct core_context *context, uint32_t stack_top, void (*entry)(const struct task *), const struct task *argument, void (*after)(void)) {
    *context = (struct core_context){
        .stack_pointer = core_push_frame(stack_top, entry, argument, after),
        .exception_return = RETURN_TO_TASK,
        .control = CONTROL_UNPRIVILEGED,
    };
}
