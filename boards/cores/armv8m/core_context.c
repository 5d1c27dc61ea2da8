// SPDX-License-Identifier: Apache-2.0
// Contexts that have not run yet: with the limit of a task's stack.
#include "core_parts.h"

void core_context_idle(struct core_context *context) {
    context->exception_return = RETURN_TO_IDLE;
    context->control = 0;
}

void core_context_task(
    struct core_context *context, uint32_t stack_top, void (*entry)(const struct task *), const struct task *argument, void (*after)(void)) {
    if (context->exception_return & RETURN_FRAME_IS_SECURE) {
        // Its frame on the Secure stack would stay, and the gateways closed. Today only the task that runs is ended.
        monitor_panic();
    }
    *context = (struct core_context){
        .stack_pointer = core_push_frame(stack_top, entry, argument, after),
        .stack_limit = argument->stack_base,
        .exception_return = RETURN_TO_TASK,
        .control = CONTROL_UNPRIVILEGED,
    };
}
