// SPDX-License-Identifier: Apache-2.0
// The monitor's core port for Armv8-M Mainline, in the Non-secure world, without FPU (Cortex-M33; Arm DDI 0553, the
// Architecture Reference Manual). What differs from ../armv7m: stacks have limits, protection regions must not overlap,
// a task may be interrupted inside a gateway of the Secure world, and an access to Secure memory is a fault that the
// Secure world sees first and passes on to us (boot_start.c).
//
// One entry serves every exception. Calls, ticks and interrupts share one priority and so never interrupt each
// other; the fault exceptions are more urgent, because a fault while the processor pushes a task's frame must be
// dealt with before the exception that wanted the push. A fault of the monitor itself is seen by EXC_RETURN.
#include "core_parts.h"
#include "faults.h"
#include "gateways.h"

_Static_assert(sizeof(struct core_context) == 12 * 4, "core_exception knows the layout");

// ---- entry ----

// Register atlas: on entry r0-r3, r12, lr, pc, xPSR are on the interrupted stack and lr is EXC_RETURN;
// r4-r11 are still the task's, and nothing may touch them before they are stored. (Interrupted in a gateway, they are
// zero: the Secure stack has them.)
__attribute__((naked, used)) void core_exception(void) {
    __asm__ volatile(
        "tst   lr, #8                \n" // handler mode: the monitor's own fault
        "beq   1f                    \n"
        "ldr   r0, =core_current     \n"
        "ldr   r0, [r0]              \n" // r0: context of what was interrupted
        "stmia r0!, {r4-r11}         \n"
        "mrs   r1, psp               \n"
        "mrs   r2, psplim            \n"
        "stmia r0!, {r1, r2, lr}     \n" // control never changes: a task cannot write it
        "mrs   r0, ipsr              \n" // r0: exception number
        "bl    core_dispatch         \n"
        "ldr   r0, =core_current     \n"
        "ldr   r0, [r0]              \n" // r0: context of what runs next, perhaps another
        "ldmia r0!, {r4-r11}         \n"
        "ldmia r0, {r1, r2, r3, r12} \n" // r1: process stack, r2: its limit, r3: EXC_RETURN, r12: control
        "movs  r0, #0                \n"
        "msr   psplim, r0            \n" // never the one task's stack with the other's limit
        "msr   psp, r1               \n"
        "msr   psplim, r2            \n"
        "msr   control, r12          \n" // takes effect with the return, which synchronises
        "bx    r3                    \n" // r0-r3, r12 and the flags come from the next one's own frame
        "1:                          \n"
        "movs  r0, #0                \n" // perhaps the stack itself is what went wrong: begin a new one
        "msr   msplim, r0            \n"
        "ldr   r0, =__main_stack_top \n"
        "msr   msp, r0               \n"
        "b     monitor_panic         \n"
        ".ltorg                      \n");
}

// ---- faults ----

// A memory or usage fault without a cause of its own is the Secure world's message: the task touched Secure memory, at
// the address it left in MMFAR, or jumped there.
static bool passed_on(uint32_t exception, uint32_t status, struct core_fault *fault) {
    if (exception == EXCEPTION_MEMORY && (status & 0xFFu) == 0) {
        fault->reason = FAULT_MEMORY;
        fault->address = fault_memory_address();
        fault->address_known = fault->address != FAULT_WITHOUT_ADDRESS;
        return true;
    }
    if (exception == EXCEPTION_USAGE && status >> 16 == 0) {
        fault->reason = FAULT_EXECUTE;
        return true;
    }
    return false;
}

static void dispatch_fault(uint32_t exception) {
    uint32_t status = fault_status();
    struct core_fault fault = {.stack_pointer = core_current->stack_pointer};
    if (!passed_on(exception, status, &fault)) {
        fault.reason = fault_reason_of(status);
        fault_locate(status, &fault);
    }
    fault_clear(status);
    scb_clear_call(); // a call whose frame could not be pushed must not be made by whoever runs next
    monitor_fault(&fault);
}

__attribute__((used)) void core_dispatch(uint32_t exception) {
    switch (exception) {
        case EXCEPTION_SVCALL:
            monitor_call();
            break;
        case EXCEPTION_SYSTICK:
            monitor_tick();
            break;
        case EXCEPTION_HARD:
        case EXCEPTION_MEMORY:
        case EXCEPTION_BUS:
        case EXCEPTION_USAGE:
            dispatch_fault(exception);
            break;
        default:
            if (exception < 16u) {
                monitor_panic(); // NMI, debug monitor, PendSV: nobody uses them
            }
            monitor_interrupt(exception - 16u);
    }
}

void core_faults_start(void) {
    cpu_set_main_stack_limit(BOARD_RAM_BASE); // the main stack lies at the very bottom (firmware/compiler/link.py)
    faults_start();
}
