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
#define LENGTH 16u

static volatile uint32_t window[80]; // 320 bytes

_Noreturn void vm_main(const struct task *self);
_Noreturn void manager_main(const struct task *self);
_Noreturn void attester_main(const struct task *self);

__attribute__((noinline)) static int32_t function(uint32_t a, uint32_t b, uint32_t c) {
    __asm__ volatile("" : "+r"(a) : "r"(b), "r"(c));
    return (int32_t)a;
}

// As the monitor has them: through a pointer that the compiler cannot see through.
typedef bool check(const struct label *from, const struct gate *gate, const struct label *to);
static check *volatile const secrecy = secrecy_may_flow;
static check *volatile const integrity = integrity_may_flow;

static void serve(void) {
    uint8_t buffer[LENGTH];
    uint32_t reply = NO_REPLY;
    for (;;) {
        syscall3(SYS_ANSWER, CALL, (uint32_t)buffer, reply | LENGTH << 16);
        reply = LENGTH;
    }
}

#define MEASURE(number, what)                       \
    PAGE->results[number].ticks[0] = TIMER[1];      \
    PAGE->results[number].result = (what);          \
    PAGE->results[number].ticks[1] = TIMER[1];

_Noreturn void vm_main(const struct task *self) {
    if (self != coffret_tasks) {
        serve();
    }
    uint8_t buffer[LENGTH] = {1};
    TIMER[2] = 0xFFFFFFFFu;
    TIMER[1] = 0xFFFFFFFFu;
    TIMER[0] = 1u;
    window[0] = 1;
    const struct label label = {{1, 1}};
    check *const may_see = secrecy, *const may_trust = integrity;
    syscall3(SYS_WAIT, 0, 5, 0);
    for (uint32_t i = 0; i < 8u; i++) {
        MEASURE(0u + i, 0)
        MEASURE(8u + i, function(1, 2, 3))
        MEASURE(16u + i, syscall3(SYS_CALL, CALL, (uint32_t)buffer, LENGTH | LENGTH << 16))
        MEASURE(24u + i, syscall3(SYS_SEND, SEND, (uint32_t)buffer, LENGTH))
        MEASURE(32u + i, syscall3(SYS_RECEIVE, SEND, (uint32_t)buffer, LENGTH))
        MEASURE(40u + i, syscall3(SYS_DROPPED, SEND, 0, 0))
        MEASURE(48u + i, may_see(&label, 0, &label))
        MEASURE(56u + i, may_trust(&label, 0, &label))
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
