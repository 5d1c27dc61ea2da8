// SPDX-License-Identifier: Apache-2.0
// The system calls: which task may make which (a mask in its table), what each does with its arguments. Whatever
// an argument points to is checked (allegation.c) by the part that uses it.
#include "monitor.h"

#include <string.h>

#include "coffret/board.h"
#include "label.h"

static int32_t call_log(uint8_t task, uint32_t text, uint32_t length) {
    if (!may_read(task_of(task), text, length)) {
        return ERR_POINTER;
    }
    log_text(task, (const uint8_t *)text, length);
    return 0;
}

static int32_t call_log_read(uint8_t task, uint32_t from, uint32_t to, uint32_t capacity) {
    if (!may_write(task_of(task), to, capacity)) {
        return ERR_POINTER;
    }
    return log_read(from, (uint8_t *)to, capacity);
}

static int32_t call_store_get(uint8_t task, uint32_t key, uint32_t to, uint32_t capacity) {
    if (!may_write(task_of(task), to, capacity)) {
        return ERR_POINTER;
    }
    return storage_get(key, (void *)to, capacity);
}

static int32_t call_store_put(uint8_t task, uint32_t key, uint32_t data, uint32_t length) {
    if (!may_read(task_of(task), data, length)) {
        return ERR_POINTER;
    }
    return storage_put(key, (const void *)data, length);
}

static int32_t call_program(uint8_t task, uint32_t offset, uint32_t data, uint32_t length) {
    if (!may_read(task_of(task), data, length)) {
        return ERR_POINTER;
    }
    return storage_program(offset, (const void *)data, length);
}

RARE static int32_t call_task_info(uint8_t task, uint32_t asked, uint32_t to) {
    if (asked >= coffret_counts.tasks) {
        return ERR_NOT_FOUND;
    }
    const struct task_state *state = state_of((uint8_t)asked);
    // Who may ask tells it to the world. Of asked secret enclave that is whether it lives, and not what it is doing.
    bool is_secret = !label_is_empty(&task_of((uint8_t)asked)->secrecy);
    bool lives = state->status != TASK_STOPPED && state->status != TASK_BACKOFF;
    struct task_info info = {
        .faults = state->faults,
        .restarts = state->restarts,
        .cpu_ms = is_secret ? 0 : state->cpu_ms,
        .state = is_secret && lives ? TASK_WAITING : state->status,
        .last_fault = state->last_fault,
        .fault_address = state->fault_address,
    };
    if (!may_write(task_of(task), to, sizeof info)) {
        return ERR_POINTER;
    }
    memcpy((void *)to, &info, sizeof info);
    return 0;
}

RARE static int32_t call_gate_info(uint8_t task, uint32_t gate, uint32_t to) {
    struct gate_info info;
    if (gate >= coffret_counts.gates) {
        return ERR_NOT_FOUND;
    }
    if (!may_write(task_of(task), to, sizeof info)) {
        return ERR_POINTER;
    }
    if (!gate_tell((uint8_t)gate, &info)) {
        return ERR_NOT_FOUND;
    }
    memcpy((void *)to, &info, sizeof info);
    return 0;
}

// Ends the caller: there is no result.
static int32_t call_end(uint8_t task, enum task_end how, uint32_t accusation) {
    // A task may only accuse itself of what the monitor cannot see.
    uint8_t reason = accusation == FAULT_OUT_OF_MEMORY ? FAULT_OUT_OF_MEMORY : FAULT_EXCEPTION;
    task_end(task, how, reason, 0);
    return CALL_WAITS;
}

// A number nobody has, or of what is not in this image.
static int32_t call_nothing(uint8_t task) {
    task_end(task, END_FAULT, FAULT_SYSCALL, 0);
    return CALL_WAITS;
}

static int32_t dispatch(uint32_t number, uint8_t task, uint32_t a, uint32_t b, uint32_t c) {
    switch (number) {
        case SYS_YIELD:
            give_up_slice(task);
            return 0;
        case SYS_SEND: return COFFRET_HAS_CHANNELS ? channel_send(task, a, b, c) : call_nothing(task);
        case SYS_RECEIVE: return COFFRET_HAS_CHANNELS ? channel_receive(task, a, b, c) : call_nothing(task);
        case SYS_WAIT: return channels_wait(task, a, b);
        case SYS_LOG: return call_log(task, a, b);
        case SYS_FAULT: return call_end(task, END_FAULT, a);
        case SYS_EXIT: return call_end(task, END_EXIT, a);
        case SYS_CALL: return COFFRET_HAS_CALLS ? call_make(task, a, b, c) : call_nothing(task);
        case SYS_REPLY: return COFFRET_HAS_CALLS ? call_reply(task, a, b, c) : call_nothing(task);
        case SYS_ANSWER: return COFFRET_HAS_CALLS ? call_answer(task, a, b, c) : call_nothing(task);
        case SYS_DROPPED: return COFFRET_HAS_CHANNELS ? channel_dropped(task, a) : call_nothing(task);
        case SYS_ACCOUNT: return task_account(task, a, b);
        case SYS_DEVICE: return COFFRET_HAS_DEVICES ? device_call(task, a, b, c) : call_nothing(task);
        case SYS_GATE_INFO: return COFFRET_HAS_GATES ? call_gate_info(task, a, b) : call_nothing(task);
        case SYS_PORT_READ: return port_read(task, a, b, c);
        case SYS_PORT_WRITE: return port_write(task, a, b);
        case SYS_FLASH_ERASE: return storage_erase(a, b);
        case SYS_FLASH_PROGRAM: return call_program(task, a, b, c);
        case SYS_STORE_GET: return call_store_get(task, a, b, c);
        case SYS_STORE_PUT: return call_store_put(task, a, b, c);
        case SYS_MARK_TEST: return storage_mark_test();
        case SYS_CONFIRM: return storage_confirm();
        case SYS_RESET: return storage_reset(a);
        case SYS_LOG_READ: return call_log_read(task, a, b, c);
        case SYS_TASK_INFO: return call_task_info(task, a, b);
        case SYS_EVIDENCE: return evidence_request(task, a);
        case SYS_EVIDENCE_NEXT: return evidence_next(task, a, b);
        case SYS_EVIDENCE_DONE: return evidence_done(task, a, b, c);
        case SYS_IDENTITY: return evidence_identity(task, a);
        default:
            return call_nothing(task);
    }
}

void monitor_call(void) {
    clock_forget();
    uint8_t number = current_task();
    if (number == NO_TASK) {
        monitor_panic(); // the idle loop makes no calls
    }
    const struct task *task = current_state()->task;
    struct core_context *context = &current_state()->context;
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
        int32_t result = dispatch(what, number, core_call_argument(context, 0), core_call_argument(context, 1),
                                  core_call_argument(context, 2));
        if (result != CALL_WAITS) {
            core_call_result(context, (uint32_t)result);
        }
    }
    schedule();
}
