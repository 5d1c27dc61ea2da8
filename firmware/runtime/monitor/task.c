// SPDX-License-Identifier: Apache-2.0
// Life and death of a task: started clean, ended by itself or by a fault, scrubbed, and started again as its
// restart policy says. Messages that wait for it stay in their queues; nothing else of it survives.
#include "monitor.h"

#include "label.h"

#define BACKOFF_LIMIT 64u       // the delay doubles up to this many times the first one

// Where a task goes whose entry returns. Runs in the task, unprivileged.
static void end_of_task(void) {
    for (;;) {
        syscall3(SYS_EXIT, 0, 0, 0);
    }
}

void task_scrub(uint8_t number) {
    const struct task *task = task_of(number);
    uint32_t end = task->memory_base + task->memory_size;
    // The attester's memory ends with what boot handed over, which must outlive a restart.
    uint32_t handoff = (uint32_t)&__handoff;
    if (handoff >= task->memory_base && handoff < end) {
        end = handoff;
    }
    for (uint32_t *word = (uint32_t *)task->memory_base; word < (uint32_t *)end; word++) {
        *word = 0;
    }
    window_forget(number);
}

void task_start(uint8_t number) {
    const struct task *task = task_of(number);
    struct task_state *state = state_of(number);
    core_context_task(
        &state->context, task->stack_base + task->stack_size, task->entry, task, end_of_task);
    state->started_at = monitor_now();
    make_ready(number);
}

static void plan_restart(uint8_t number) {
    const struct task *task = task_of(number);
    struct task_state *state = state_of(number);
    uint64_t longest = (uint64_t)task->backoff_ms * BACKOFF_LIMIT;
    // One that ran well for as long as the longest delay starts afresh.
    if (state->backoff_ms == 0 || monitor_now() - state->started_at > longest * US_PER_MS) {
        state->backoff_ms = task->backoff_ms;
    }
    state->status = TASK_BACKOFF;
    state->wait = WAIT_NONE;
    state->wake_at = monitor_now() + (uint64_t)state->backoff_ms * US_PER_MS;
    state->restarts++;
    if (state->backoff_ms < longest) {
        state->backoff_ms *= 2;
    }
}

void task_end(uint8_t number, enum task_end how, uint8_t reason, uint32_t address) {
    const struct task *task = task_of(number);
    struct task_state *state = state_of(number);
    if (how == END_FAULT) {
        state->faults++;
        state->last_fault = reason;
        // An address is a number that the enclave chose.
        state->fault_address = label_is_empty(&task->secrecy) ? address : 0;
        log_fault(number, reason, address);
    }
    task_scrub(number);
    evidence_forget(number);
    bool again = task->restart == RESTART_ALWAYS || (task->restart == RESTART_ON_FAULT && how == END_FAULT);
    if (again) {
        plan_restart(number);
    } else {
        state->status = TASK_STOPPED;
        log_event("stopped", task->name);
    }
}
