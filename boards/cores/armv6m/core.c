// SPDX-License-Identifier: Apache-2.0
// The monitor's core port for Armv6-M with the unprivileged and protection extensions (Cortex-M0+; Arm DDI 0419, the
// Architecture Reference Manual).
//
// One entry serves every exception. Calls, ticks and interrupts share one priority and so never interrupt each
// other. Every fault is a HardFault, above all of them; there is no status register that says which. A fault of the
// monitor itself is seen by EXC_RETURN.
#include "core_parts.h"

extern const uint8_t __image_start[];
extern const uint8_t __image_end[];

// A call whose frame could not be pushed waits behind the fault and comes when somebody else is about to run.
MONITOR_BSS static bool call_is_stale;

_Static_assert(sizeof(struct core_context) == 11 * 4, "core_exception knows the layout");
_Static_assert(BOARD_EXTERNAL_INTERRUPTS <= 32u, "Armv6-M has 32 lines at most");

// ---- entry ----

// Register atlas: on entry r0-r3, r12, lr, pc, xPSR are on the interrupted stack and lr is EXC_RETURN;
// r4-r11 are still the task's, and nothing may touch them before they are stored. Multiple loads and stores and
// immediates reach r0-r7 alone.
__attribute__((naked, used)) void core_exception(void) {
    __asm__ volatile(
        "mov   r1, lr                \n"
        "movs  r2, #4                \n"
        "tst   r1, r2                \n" // pushed on the process stack: a task's
        "bne   1f                    \n"
        "movs  r2, #8                \n"
        "tst   r1, r2                \n" // thread mode on the main stack: the idle loop's
        "bne   1f                    \n"
        "bl    monitor_panic         \n" // handler mode: the monitor's own fault
        "1:                          \n"
        "ldr   r0, =core_current     \n"
        "ldr   r0, [r0]              \n" // r0: context of what was interrupted
        "stmia r0!, {r4-r7}          \n"
        "mov   r4, r8                \n"
        "mov   r5, r9                \n"
        "mov   r6, r10               \n"
        "mov   r7, r11               \n"
        "stmia r0!, {r4-r7}          \n"
        "mrs   r2, psp               \n"
        "mov   r3, lr                \n"
        "stmia r0!, {r2, r3}         \n" // control never changes: a task cannot write it
        "mrs   r0, ipsr              \n" // r0: exception number
        "bl    core_dispatch         \n"
        "ldr   r0, =core_current     \n"
        "ldr   r0, [r0]              \n" // r0: context of what runs next, perhaps another
        "adds  r0, #16               \n"
        "ldmia r0!, {r4-r7}          \n"
        "mov   r8, r4                \n"
        "mov   r9, r5                \n"
        "mov   r10, r6               \n"
        "mov   r11, r7               \n"
        "ldmia r0!, {r1, r2, r3}     \n" // r1: process stack, r2: EXC_RETURN, r3: control
        "msr   psp, r1               \n"
        "msr   control, r3           \n" // takes effect with the return, which synchronises
        "subs  r0, #44               \n"
        "ldmia r0!, {r4-r7}          \n"
        "bx    r2                    \n" // r0-r3, r12 and the flags come from the next one's own frame
        ".ltorg                      \n");
}

// ---- faults ----

// Loads and stores among the 16-bit instructions (section A5.2), push and pop included.
static bool is_memory_access(uint32_t instruction) {
    uint32_t top = instruction >> 12;
    return (top >= 5u && top <= 9u) || top == 12u || (instruction >> 11) == 9u || (instruction & 0xF600u) == 0xB400u;
}

// Nothing says why, so the instruction is looked at.
static uint32_t fault_reason_of(const struct task *task, const struct core_context *context) {
    if (task == 0 || !core_frame_inside(context, task->memory_base, task->memory_size)) {
        return FAULT_STACK; // there was no room for the frame, or the pointer itself is wild
    }
    uint32_t at = frame_of(context)->pc;
    if (at < (uint32_t)__image_start || at >= (uint32_t)__image_end) {
        // Boot's functions run for the services alone, and are not read here.
        return at - BOARD_BOOT_BASE < BOARD_BOOT_SIZE ? FAULT_MEMORY : FAULT_EXECUTE;
    }
    return is_memory_access(*(const uint16_t *)(at & ~1u)) ? FAULT_MEMORY : FAULT_USAGE;
}

static void dispatch_fault(void) {
    struct core_fault fault = {.stack_pointer = core_current->stack_pointer};
    fault.reason = fault_reason_of(core_mapped_task(), core_current);
    // Of one priority the lowest number is first (section B1.5.4), so a call that waits is the one named.
    call_is_stale = scb_pending_exception() == EXCEPTION_SVCALL;
    monitor_fault(&fault);
}

__attribute__((used)) void core_dispatch(uint32_t exception) {
    switch (exception) {
        case EXCEPTION_SVCALL:
            if (call_is_stale) {
                call_is_stale = false; // nobody who runs now has made it
                break;
            }
            monitor_call();
            break;
        case EXCEPTION_SYSTICK:
            monitor_tick();
            break;
        case EXCEPTION_HARD:
            dispatch_fault();
            break;
        default:
            if (exception < 16u) {
                monitor_panic(); // NMI, PendSV: nobody uses them
            }
            monitor_interrupt(exception - 16u);
    }
}

void core_faults_start(void) {} // every fault is a HardFault, whose priority is fixed
