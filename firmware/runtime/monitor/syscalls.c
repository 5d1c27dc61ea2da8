// SPDX-License-Identifier: Apache-2.0
// The system calls: which task may make which (a mask in its table), what each does with its arguments. Whatever
// an argument points to is checked (allegation.c) by the part that uses it.
#include "monitor.h"

#include <string.h>

#include "coffret/board.h"
#include "label.h"

struct call {
    uint8_t task;
    uint32_t a, b, c;
};

static int32_t call_log(const struct call *call) {
    if (!may_read(task_of(call->task), call->a, call->b)) {
        return ERR_POINTER;
    }
    log_text(call->task, (const uint8_t *)call->a, call->b);
    return 0;
}

static int32_t call_log_read(const struct call *call) {
    if (!may_write(task_of(call->task), call->b, call->c)) {
        return ERR_POINTER;
    }
    return log_read(call->a, (uint8_t *)call->b, call->c);
}

static int32_t call_store_get(const struct call *call) {
    if (!may_write(task_of(call->task), call->b, call->c)) {
        return ERR_POINTER;
    }
    return storage_get(call->a, (void *)call->b, call->c);
}

static int32_t call_store_put(const struct call *call) {
    if (!may_read(task_of(call->task), call->b, call->c)) {
        return ERR_POINTER;
    }
    return storage_put(call->a, (const void *)call->b, call->c);
}

static int32_t call_program(const struct call *call) {
    if (!may_read(task_of(call->task), call->b, call->c)) {
        return ERR_POINTER;
    }
    return storage_program(call->a, (const void *)call->b, call->c);
}

RARE static int32_t call_task_info(const struct call *call) {
    if (call->a >= coffret_counts.tasks) {
        return ERR_NOT_FOUND;
    }
    const struct task_state *state = state_of((uint8_t)call->a);
    // Who may ask tells it to the world. Of a secret enclave that is whether it lives, and not what it is doing.
    bool is_secret = !label_is_empty(&task_of((uint8_t)call->a)->secrecy);
    bool lives = state->status != TASK_STOPPED && state->status != TASK_BACKOFF;
    struct task_info info = {
        .faults = state->faults,
        .restarts = state->restarts,
        .cpu_ms = is_secret ? 0 : state->cpu_ms,
        .state = is_secret && lives ? TASK_WAITING : state->status,
        .last_fault = state->last_fault,
        .fault_address = state->fault_address,
    };
    if (!may_write(task_of(call->task), call->b, sizeof info)) {
        return ERR_POINTER;
    }
    memcpy((void *)call->b, &info, sizeof info);
    return 0;
}

RARE static int32_t call_gate_info(const struct call *call) {
    struct gate_info info;
    if (call->a >= coffret_counts.gates) {
        return ERR_NOT_FOUND;
    }
    if (!may_write(task_of(call->task), call->b, sizeof info)) {
        return ERR_POINTER;
    }
    gate_tell((uint8_t)call->a, &info);
    memcpy((void *)call->b, &info, sizeof info);
    return 0;
}

// Ends the caller: there is no result.
static int32_t call_end(const struct call *call, enum task_end how) {
    // A task may only accuse itself of what the monitor cannot see.
    uint8_t reason = call->a == FAULT_OUT_OF_MEMORY ? FAULT_OUT_OF_MEMORY : FAULT_EXCEPTION;
    task_end(call->task, how, reason, 0);
    return CALL_WAITS;
}

static int32_t dispatch(uint32_t number, const struct call *call) {
    switch (number) {
        case SYS_YIELD:
            give_up_slice(call->task);
            return 0;
        case SYS_SEND: return channel_send(call->task, call->a, call->b, call->c);
        case SYS_RECEIVE: return channel_receive(call->task, call->a, call->b, call->c);
        case SYS_WAIT: return channels_wait(call->task, call->a, call->b);
        case SYS_LOG: return call_log(call);
        case SYS_FAULT: return call_end(call, END_FAULT);
        case SYS_EXIT: return call_end(call, END_EXIT);
        case SYS_CALL: return call_make(call->task, call->a, call->b, call->c);
        case SYS_REPLY: return call_reply(call->task, call->a, call->b, call->c);
        case SYS_ANSWER: return call_answer(call->task, call->a, call->b, call->c);
        case SYS_DROPPED: return channel_dropped(call->task, call->a);
        case SYS_ACCOUNT: return task_account(call->task, call->a, call->b);
#ifdef MONITOR_DEVICES
        case SYS_DEVICE: return device_call(call->task, call->a, call->b, call->c);
#endif
        case SYS_GATE_INFO: return call_gate_info(call);
        case SYS_PORT_READ: return port_read(call->task, call->a, call->b, call->c);
        case SYS_PORT_WRITE: return port_write(call->task, call->a, call->b);
        case SYS_FLASH_ERASE: return storage_erase(call->a, call->b);
        case SYS_FLASH_PROGRAM: return call_program(call);
        case SYS_STORE_GET: return call_store_get(call);
        case SYS_STORE_PUT: return call_store_put(call);
        case SYS_MARK_TEST: return storage_mark_test();
        case SYS_CONFIRM: return storage_confirm();
        case SYS_RESET: return storage_reset(call->a);
        case SYS_LOG_READ: return call_log_read(call);
        case SYS_TASK_INFO: return call_task_info(call);
        case SYS_EVIDENCE: return evidence_request(call->task, call->a);
        case SYS_EVIDENCE_NEXT: return evidence_next(call->task, call->a, call->b);
        case SYS_EVIDENCE_DONE: return evidence_done(call->task, call->a, call->b, call->c);
        case SYS_IDENTITY: return evidence_identity(call->task, call->a);
        default:
            task_end(call->task, END_FAULT, FAULT_SYSCALL, 0); // a number nobody has
            return CALL_WAITS;
    }
}

void monitor_call(void) {
    clock_read();
    uint8_t number = current_task();
    if (number == NO_TASK) {
        monitor_panic(); // the idle loop makes no calls
    }
    const struct task *task = task_of(number);
    struct core_context *context = &state_of(number)->context;
    if (!core_frame_inside(context, task->memory_base, task->memory_size)) {
        // It can write there (or the push had faulted), but it is no stack of its own: a grant or the window.
        task_end(number, END_FAULT, FAULT_STACK, 0);
        schedule();
        return;
    }
    uint32_t what = core_call_number(context);
    if (what >= SYS_COUNT || (task->calls & 1u << what) == 0) {
        task_end(number, END_FAULT, FAULT_SYSCALL, 0);
    } else if (what == SYS_TIME) {
        core_call_result_wide(context, monitor_now());
    } else {
        struct call call = {
            .task = number,
            .a = core_call_argument(context, 0),
            .b = core_call_argument(context, 1),
            .c = core_call_argument(context, 2),
        };
        int32_t result = dispatch(what, &call);
        if (result != CALL_WAITS) {
            core_call_result(context, (uint32_t)result);
        }
    }
    schedule();
}
