// SPDX-License-Identifier: Apache-2.0
// The monitor's core port for Armv7-M without FPU (Cortex-M3 and M4; Arm DDI 0403, the Architecture Reference Manual).
//
// One entry serves every exception. Calls, ticks and interrupts share one priority and so never interrupt each
// other; the fault exceptions are more urgent, because a fault while the processor pushes a task's frame must be
// dealt with before the exception that wanted the push. A fault of the monitor itself is seen by EXC_RETURN.
#include "core_parts.h"
#include "faults.h"

_Static_assert(sizeof(struct core_context) == 11 * 4, "core_exception knows the layout");

// ---- entry ----

// Register atlas: on entry r0-r3, r12, lr, pc, xPSR are on the interrupted stack and lr is EXC_RETURN;
// r4-r11 are still the task's, and nothing may touch them before they are stored.
__attribute__((naked, used)) void core_exception(void) {
    __asm__ volatile(
        "tst   lr, #4                \n" // pushed on the process stack: a task's
        "bne   1f                    \n"
        "tst   lr, #8                \n" // thread mode on the main stack: the idle loop's
        "beq   monitor_panic         \n" // handler mode: the monitor's own fault
        "1:                          \n"
        "ldr   r0, =core_current     \n"
        "ldr   r0, [r0]              \n" // r0: context of what was interrupted
        "stmia r0!, {r4-r11}         \n"
        "mrs   r1, psp               \n"
        "stmia r0!, {r1, lr}         \n" // control never changes: a task cannot write it
        "mrs   r0, ipsr              \n" // r0: exception number
        "cmp   r0, #11               \n" // a call: the most frequent
        "bne   2f                    \n"
        "bl    monitor_call          \n"
        "b     3f                    \n"
        "2:                          \n"
        "bl    core_dispatch         \n"
        "3:                          \n"
        "ldr   r0, =core_current     \n"
        "ldr   r0, [r0]              \n" // r0: context of what runs next, perhaps another
        "ldmia r0!, {r4-r11}         \n"
        "ldmia r0, {r1, r2, r3}      \n" // r1: process stack, r2: EXC_RETURN, r3: control
        "msr   psp, r1               \n"
        "msr   control, r3           \n" // takes effect with the return, which synchronises
        "bx    r2                    \n" // r0-r3, r12 and the flags come from the next one's own frame
        ".ltorg                      \n");
}

// ---- faults ----

static void dispatch_fault(void) {
    uint32_t status = fault_status();
    struct core_fault fault = {.reason = fault_reason_of(status), .stack_pointer = core_current->stack_pointer};
    fault_locate(status, &fault);
    fault_clear(status);
    scb_clear_call(); // a call whose frame could not be pushed must not be made by whoever runs next
    monitor_fault(&fault);
}

__attribute__((used)) void core_dispatch(uint32_t exception) {
    switch (exception) {
        case EXCEPTION_SYSTICK:
            monitor_tick();
            break;
        case EXCEPTION_HARD:
        case EXCEPTION_MEMORY:
        case EXCEPTION_BUS:
        case EXCEPTION_USAGE:
            dispatch_fault();
            break;
        default:
            if (exception < 16u) {
                monitor_panic(); // NMI, debug monitor, PendSV: nobody uses them
            }
            monitor_interrupt(exception - 16u);
    }
}

void core_faults_start(void) { faults_start(); }
