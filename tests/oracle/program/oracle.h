// SPDX-License-Identifier: Apache-2.0
// What the host and the program share: a page of the emulated flash, which is a file of the host's (machine.py has the
// same layout). All tasks may write it, outside of every rule.
#ifndef ORACLE_H
#define ORACLE_H

#include <stdint.h>

#define PAGE_BASE 0x21210000u
#define PATCHES_BASE 0x21200000u

#define TASKS_MAX 10u
#define STEPS_MAX 64u
#define DATA_MAX 48u
#define LOG_MAX 16384u

enum operation_kind {
    OPERATION_PAUSE = 0,    // length: milliseconds
    OPERATION_SEND,
    OPERATION_RECEIVE,      // capacity
    OPERATION_WAIT,         // mask; capacity: 0 does not wait
    OPERATION_CALL,         // length, capacity
    OPERATION_REPLY,        // length
    OPERATION_ANSWER,       // length (0xFFFF: no reply), capacity
    OPERATION_DROPPED,
    OPERATION_ACCOUNT,      // channel: the task that is asked for
    OPERATION_FAULT,
    OPERATION_EXIT,
    OPERATION_NOTHING,      // takes as long as a call
    OPERATION_LOG           // length: lines; the step's log is then all that is left of it
};

struct operation {
    uint8_t kind;
    uint8_t task;
    uint8_t channel;
    uint8_t salt;           // of the message
    uint16_t length;
    uint16_t capacity;
    uint32_t mask;
};

// One call of a task: filled when it returns.
struct result {
    uint32_t done;          // 1 + the step in which it returned
    int32_t result;
    uint64_t time;          // before it
    uint32_t ticks[2];      // of a counter that runs down faster than instructions go by: before it, and after
    uint8_t data[DATA_MAX];
};

// What the controller saw at the end of a step.
struct step {
    uint32_t taken;         // the task was there and made the call
    uint32_t waits;         // bit n: task n waits for its restart
    uint64_t time;
    uint8_t lives[TASKS_MAX];
    uint8_t faults[TASKS_MAX];
    uint8_t restarts[TASKS_MAX];
    uint8_t padding[2];
};

struct page {
    uint32_t count;         // of operations
    uint32_t current;       // the step
    uint32_t finished;
    uint32_t log_length;
    uint32_t step_ms;
    uint32_t reserved;
    uint32_t orders[TASKS_MAX]; // 1 + the operation that the task shall do; 0: none
    uint32_t lives[TASKS_MAX];
    struct operation operations[STEPS_MAX];
    struct result results[STEPS_MAX];
    struct step steps[STEPS_MAX];
    uint8_t log[LOG_MAX];   // lines: step, space, text
};

#define PAGE ((volatile struct page *)PAGE_BASE)

#endif
