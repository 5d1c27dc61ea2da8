// SPDX-License-Identifier: Apache-2.0
// Two enclaves, one that calls and one that answers, and the finest clock beside each call. The window is as large as
// MicroPython's, so a switch moves as much as it does in a real image.
#include "coffret/syscall.h"
#include "coffret/tables.h"
#include "label.h"
#include "oracle.h"

#define FOREVER 0xFFFFFFFFu
#define TIMER ((volatile uint32_t *)0x40001000u) // CMSDK timer: control, value, reload
#define CALL 0u     // enclave 0 -> 1
#define SEND 1u     // enclave 0 -> 0
#define GATE 2u     // enclave 0 -> 1, through a gate
#define LENGTH 16u
#define ROUNDS 7u

static volatile uint32_t window[80]; // 320 bytes

_Noreturn void vm_main(const struct task *self);
_Noreturn void manager_main(const struct task *self);
_Noreturn void attester_main(const struct task *self);

__attribute__((noinline)) static int32_t function(uint32_t a, uint32_t b, uint32_t c) {
    __asm__ volatile("" : "+r"(a) : "r"(b), "r"(c));
    return (int32_t)a;
}

// What is measured: each a function that is called at one place, so that the compiler gives all the same frame.
typedef int32_t measured(uint8_t *message);

static const struct label label = {{1, 1}};

static int32_t nothing(uint8_t *message) {
    (void)message;
    return 0;
}

static int32_t plain_function(uint8_t *message) {
    (void)message;
    int32_t result = function(1, 2, 3);
    __asm__ volatile("" : "+r"(result)); // it returns here
    return result;
}

static int32_t call_and_reply(uint8_t *message) {
    return syscall3(SYS_CALL, CALL, (uint32_t)message, LENGTH | LENGTH << 16);
}

static int32_t send(uint8_t *message) {
    return syscall3(SYS_SEND, SEND, (uint32_t)message, LENGTH);
}

static int32_t receive(uint8_t *message) {
    return syscall3(SYS_RECEIVE, SEND, (uint32_t)message, LENGTH);
}

static int32_t smallest_call(uint8_t *message) {
    (void)message;
    return syscall3(SYS_DROPPED, SEND, 0, 0);
}

static int32_t gate(uint8_t *message) {
    return syscall3(SYS_SEND, GATE, (uint32_t)message, LENGTH);
}

static int32_t secrecy_check(uint8_t *message) {
    (void)message;
    return secrecy_may_flow(&label, 0, &label);
}

static int32_t integrity_check(uint8_t *message) {
    (void)message;
    return integrity_may_flow(&label, 0, &label);
}

static measured *const all[] = {
    nothing, plain_function, call_and_reply, send, receive, smallest_call, gate, secrecy_check, integrity_check,
};

__attribute__((noinline)) static void measure(measured *what, uint8_t *message, volatile struct result *result) {
    result->ticks[0] = TIMER[1];
    result->result = what(message);
    result->ticks[1] = TIMER[1];
}

static void serve(void) {
    uint8_t buffer[LENGTH];
    uint32_t reply = NO_REPLY;
    for (;;) {
        syscall3(SYS_ANSWER, CALL, (uint32_t)buffer, reply | LENGTH << 16);
        reply = LENGTH;
    }
}

_Noreturn void vm_main(const struct task *self) {
    if (self != coffret_tasks) {
        serve();
    }
    uint8_t message[LENGTH] = {1}; // on the stack: a call waits, so its buffer may not be in the window
    TIMER[2] = 0xFFFFFFFFu;
    TIMER[1] = 0xFFFFFFFFu;
    TIMER[0] = 1u;
    window[0] = 1;
    syscall3(SYS_WAIT, 0, 5, 0);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        for (uint32_t number = 0; number < sizeof all / sizeof *all; number++) {
            measure(all[number], message, &PAGE->results[number * ROUNDS + i]);
        }
    }
    for (;;) {
        syscall3(SYS_WAIT, 0, FOREVER, 0);
    }
}

_Noreturn void manager_main(const struct task *self) {
    (void)self;
    syscall3(SYS_WAIT, 0, 30, 0);
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
