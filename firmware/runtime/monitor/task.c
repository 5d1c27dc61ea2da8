// SPDX-License-Identifier: Apache-2.0
// Life and death of a task: started clean, ended by itself or by a fault, scrubbed, and started again as its
// restart policy says. Messages that wait for it stay in their queues; nothing else of it survives.
#include "monitor.h"

#include <string.h>

#include "board_config.h"
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
    window_forget((const uint32_t *)task->window_save);
    if (COFFRET_HAS_DEVICES) {
        device_reset(number);
    }
}

// Most bytes of stack since the task was started: what it has not used is still as the scrub left it.
static uint32_t stack_used(const struct task *task) {
    const uint32_t *word = (const uint32_t *)task->stack_base;
    uint32_t untouched = 0;
    while (untouched < task->stack_size && *word++ == 0) {
        untouched += sizeof *word;
    }
    return task->stack_size - untouched;
}

RARE int32_t task_account(uint8_t asker, uint32_t asked, uint32_t to) {
    uint32_t number = asked == SELF ? asker : asked;
    if (number >= coffret_counts.tasks) {
        return ERR_NOT_FOUND;
    }
    const struct task *task = task_of((uint8_t)number);
    if (number != asker && (!secrecy_may_flow(&task->secrecy, NULL, &task_of(asker)->secrecy) ||
                            !integrity_may_flow(&task->integrity, NULL, &task_of(asker)->integrity))) {
        return ERR_DENIED;
    }
    const struct task_state *state = state_of((uint8_t)number);
    struct account account = {
        .cpu_us = (uint64_t)state->cpu_ms * US_PER_MS + state->cpu_ticks / BOARD_TICKS_PER_US,
        .memory = task->memory_size,
        .stack_used = stack_used(task),
        .faults = state->faults,
        .restarts = state->restarts,
    };
    if (!may_write(task_of(asker), to, sizeof account)) {
        return ERR_POINTER;
    }
    memcpy((void *)to, &account, sizeof account);
    return 0;
}

void task_start(uint8_t number) {
    const struct task *task = task_of(number);
    struct task_state *state = state_of(number);
    core_context_task(
        &state->context, task->stack_base + task->stack_size, task->entry, task, end_of_task);
    state->started_at = monitor_now();
    begin_anew(number);
}

uint32_t task_instruction(uint8_t number) {
    const struct task *task = task_of(number);
    const struct core_context *context = &state_of(number)->context;
    bool known = core_frame_inside(context, task->memory_base, task->memory_size);
    return known ? core_frame_instruction(context) : 0;
}

static void plan_restart(uint8_t number) {
    const struct task *task = task_of(number);
    struct task_state *state = state_of(number);
    uint64_t longest = (uint64_t)task->backoff_ms * BACKOFF_LIMIT;
    // One that ran well for as long as the longest delay starts afresh.
    if (state->backoff_ms == 0 || monitor_now() - state->started_at > longest * US_PER_MS) {
        state->backoff_ms = task->backoff_ms;
    }
    set_status(number, TASK_BACKOFF);
    state->wait = WAIT_NONE;
    state->wake_at = monitor_now() + (uint64_t)state->backoff_ms * US_PER_MS;
    state->restarts++;
    if (state->backoff_ms < longest) {
        state->backoff_ms *= 2;
    }
}

RARE void task_end(uint8_t number, enum task_end how, uint8_t reason, uint32_t address) {
    const struct task *task = task_of(number);
    struct task_state *state = state_of(number);
    bool again = task->restart == RESTART_ALWAYS || (task->restart == RESTART_ON_FAULT && how == END_FAULT);
    // It was started for a message and leaves it: at once again would be for ever.
    bool refuses =
        is_worker(task) && how == END_EXIT && state->served == 0 && channels_readable(number, UINT32_MAX) != 0;
    if (how == END_FAULT) {
        state->faults++;
        state->last_fault = reason;
        if (COFFRET_HAS_REPORTS) {
            struct fault_report report = {
                .reason = reason, .faults = state->faults, .instruction = task_instruction(number), .address = address};
            channels_tell_fault(number, &report);
        }
        // An address is a number that the enclave chose.
        state->fault_address = label_is_empty(&task->secrecy) ? address : 0;
        log_fault(number, reason, address);
    }
    task_scrub(number);
    memset(&state->context, 0, sizeof state->context); // its registers
    evidence_forget(number);
    if (is_summoned(task) && how == END_EXIT) {
        channel_forget_served(number);
    }
    state->served = 0; // after a fault the message is still there, for the next life
    if (is_worker(task) && how == END_EXIT && !refuses) {
        set_status(number, TASK_ASLEEP);
        state->wait = WAIT_NONE;
    } else if (again || refuses) {
        plan_restart(number);
    } else {
        set_status(number, TASK_STOPPED);
        state->wait = WAIT_NONE;
        log_event("stopped", task->name);
    }
    if (COFFRET_HAS_CALLS) {
        calls_forget(number, state->status == TASK_STOPPED);
    }
    if (is_worker(task)) {
        worker_release(number);
    }
}
