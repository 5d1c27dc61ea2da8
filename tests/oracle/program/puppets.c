// SPDX-License-Identifier: Apache-2.0
// Enclaves that make one call each when they are told, and the service that tells them, step by step. Their labels
// forbid that they talk, so orders and results lie in a page that all of them share.
#include "coffret/syscall.h"
#include "coffret/tables.h"
#include "oracle.h"

#define FOREVER 0xFFFFFFFFu
// CMSDK timer 1, which nobody else uses: granted to all.
#define TIMER ((volatile uint32_t *)0x40001000u) // control, value, reload

_Noreturn void vm_main(const struct task *self);
_Noreturn void manager_main(const struct task *self);
_Noreturn void attester_main(const struct task *self);

static int32_t flood(const uint8_t *line, uint32_t lines) {
    while (lines-- != 0) {
        syscall3(SYS_LOG, (uint32_t)line, DATA_MAX, 0);
    }
    return 0;
}

static int32_t make(const volatile struct operation *operation, uint8_t *buffer) {
    uint32_t channel = operation->channel, length = operation->length, capacity = operation->capacity;
    switch (operation->kind) {
        case OPERATION_SEND: return syscall3(SYS_SEND, channel, (uint32_t)buffer, length);
        case OPERATION_RECEIVE: return syscall3(SYS_RECEIVE, channel, (uint32_t)buffer, capacity);
        case OPERATION_WAIT: return syscall3(SYS_WAIT, operation->mask, capacity != 0 ? FOREVER : 0, 0);
        case OPERATION_CALL: return syscall3(SYS_CALL, channel, (uint32_t)buffer, length | capacity << 16);
        case OPERATION_REPLY: return syscall3(SYS_REPLY, channel, (uint32_t)buffer, length);
        case OPERATION_ANSWER: return syscall3(SYS_ANSWER, channel, (uint32_t)buffer, length | capacity << 16);
        case OPERATION_DROPPED: return syscall3(SYS_DROPPED, channel, 0, 0);
        case OPERATION_ACCOUNT: return syscall3(SYS_ACCOUNT, channel, (uint32_t)buffer, 0);
        case OPERATION_LOG: return flood(buffer, length);
        case OPERATION_FAULT: return syscall3(SYS_FAULT, FAULT_EXCEPTION, 0, 0);
        default: return syscall3(SYS_EXIT, 0, 0, 0);
    }
}

// In the window: what an enclave has read last.
static volatile uint8_t kept[DATA_MAX];

static void obey(uint32_t number) {
    uint8_t buffer[DATA_MAX];
    for (uint32_t i = 0; i < DATA_MAX; i++) {
        buffer[i] = (uint8_t)(number + i + PAGE->operations[number].salt);
    }
    volatile struct result *result = &PAGE->results[number];
    result->time = syscall_time();
    result->ticks[0] = TIMER[1];
    int32_t value = make(&PAGE->operations[number], buffer);
    result->ticks[1] = TIMER[1];
    for (uint32_t i = 0; i < DATA_MAX; i++) {
        result->data[i] = buffer[i];
    }
    for (uint32_t i = 0; i < DATA_MAX && PAGE->operations[number].kind == OPERATION_RECEIVE; i++) {
        kept[i] = buffer[i];
    }
    result->result = value;
    result->done = PAGE->current + 1u;
}

_Noreturn void vm_main(const struct task *self) {
    uint32_t own = (uint32_t)(self - coffret_tasks);
    PAGE->lives[own]++;
    for (;;) {
        uint32_t order = PAGE->orders[own];
        if (order != 0) {
            PAGE->orders[own] = 0;
            obey(order - 1u);
        }
        syscall3(SYS_WAIT, 0, 1, 0);
    }
}

static struct {
    uint8_t entries[1024];
    uint32_t next;
} work __attribute__((section(".manager.bss")));

static void keep(uint8_t c) {
    if (PAGE->log_length < LOG_MAX) {
        PAGE->log[PAGE->log_length++] = c;
    }
}

static void keep_log(uint32_t step) {
    int32_t length = syscall3(SYS_LOG_READ, work.next, (uint32_t)work.entries, sizeof work.entries);
    for (int32_t at = 0; at < length;) {
        const struct log_entry *entry = (const struct log_entry *)(work.entries + at);
        keep((uint8_t)('0' + step / 10u));
        keep((uint8_t)('0' + step % 10u));
        keep(' ');
        for (uint32_t i = 0; i < entry->length; i++) {
            keep(((const uint8_t *)(entry + 1))[i]);
        }
        keep('\n');
        work.next = entry->sequence + 1u;
        at += (int32_t)(sizeof *entry + (entry->length + 3u) / 4u * 4u);
    }
}

static void look(uint32_t number) {
    volatile struct step *step = &PAGE->steps[number];
    step->time = syscall_time();
    for (uint32_t task = 0; task < coffret_counts.enclaves; task++) {
        struct task_info info;
        syscall3(SYS_TASK_INFO, task, (uint32_t)&info, 0);
        step->waits |= (info.state == 3u) << task;
        step->lives[task] = (uint8_t)PAGE->lives[task];
        step->faults[task] = (uint8_t)info.faults;
        step->restarts[task] = (uint8_t)info.restarts;
    }
}

_Noreturn void manager_main(const struct task *self) {
    (void)self;
    TIMER[2] = 0xFFFFFFFFu;
    TIMER[1] = 0xFFFFFFFFu;
    TIMER[0] = 1u;
    syscall3(SYS_WAIT, 0, PAGE->step_ms, 0);
    keep_log(0);
    for (uint32_t number = 0; number < PAGE->count; number++) {
        const volatile struct operation *operation = &PAGE->operations[number];
        PAGE->current = number;
        if (operation->kind == OPERATION_PAUSE) {
            syscall3(SYS_WAIT, 0, operation->length, 0);
        } else {
            PAGE->orders[operation->task] = operation->kind != OPERATION_NOTHING ? number + 1u : 0;
            syscall3(SYS_WAIT, 0, PAGE->step_ms, 0);
            PAGE->steps[number].taken = PAGE->orders[operation->task] == 0;
            PAGE->orders[operation->task] = 0;
        }
        look(number);
        if (operation->kind == OPERATION_LOG) {
            work.next = 0;
            keep_log(number); // more than one piece
            keep_log(number);
        }
        keep_log(number);
    }
    syscall3(SYS_WAIT, 0, 20, 0); // what goes to the sink has left
    PAGE->finished = 1;
    for (;;) {
        syscall3(SYS_RESET, 0, 0, 0);
    }
}

_Noreturn void attester_main(const struct task *self) {
    (void)self;
    for (;;) {
        syscall3(SYS_WAIT, 0, FOREVER, 0);
    }
}
