// SPDX-License-Identifier: Apache-2.0
// The monitor's core port for Armv7-M without FPU (Cortex-M3; Arm DDI 0403, the Architecture Reference Manual).
//
// One entry serves every exception. Calls, ticks and interrupts share one priority and so never interrupt each
// other; the fault exceptions are more urgent, because a fault while the processor pushes a task's frame must be
// dealt with before the exception that wanted the push. A fault of the monitor itself is seen by EXC_RETURN.
#include "board_config.h"
#include "coffret/core.h"
#include "coffret/section.h"
#include "coffret/syscall.h"
#include "registers.h"

#define PRIORITY_FAULT 0u
#define PRIORITY_MONITOR 0x80u

#define RETURN_TO_IDLE 0xFFFFFFF9u  // thread mode, main stack
#define RETURN_TO_TASK 0xFFFFFFFDu  // thread mode, process stack
#define XPSR_THUMB (1u << 24)

// What the processor pushes (section B1.5.6).
struct frame {
    uint32_t r0, r1, r2, r3, r12, lr, pc, xpsr;
};

extern uint32_t __main_stack_top[];

_Static_assert(sizeof(struct core_context) == 11 * 4, "core_exception knows the layout");
_Static_assert(BOARD_MPU_REGIONS >= 8u, "the map of docs/internals.md needs eight regions");

// ---- entry ----

// Register atlas: on entry r0-r3, r12, lr, pc, xPSR are on the interrupted stack and lr is EXC_RETURN;
// r4-r11 are still the task's, and nothing may touch them before they are stored.
__attribute__((naked, used)) static void core_exception(void) {
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
        "bl    core_dispatch         \n"
        "ldr   r0, =core_current     \n"
        "ldr   r0, [r0]              \n" // r0: context of what runs next, perhaps another
        "ldmia r0!, {r4-r11}         \n"
        "ldmia r0, {r1, r2, r3}      \n" // r1: process stack, r2: EXC_RETURN, r3: control
        "msr   psp, r1               \n"
        "msr   control, r3           \n" // takes effect with the return, which synchronises
        "bx    r2                    \n" // r0-r3, r12 and the flags come from the next one's own frame
        ".ltorg                      \n");
}

__attribute__((used)) static void core_reset(void) {
    cpu_interrupts_disable();
    monitor_start();
}

#define EXCEPTIONS (16u + BOARD_EXTERNAL_INTERRUPTS)
typedef void (*vector)(void);

__attribute__((section(".vectors"), used)) const struct {
    uint32_t *main_stack;
    vector reset;
    vector exception[EXCEPTIONS - 2u];
} core_vectors = {__main_stack_top, core_reset, {[0 ... EXCEPTIONS - 3u] = core_exception}};

// ---- faults ----

static const struct frame *frame_of(const struct core_context *context) {
    return (const struct frame *)context->stack_pointer;
}

// Why, from the status registers (section B3.2.15). More than one bit may be set; the first match decides.
static uint32_t fault_reason_of(uint32_t status) {
    if (status & (FAULT_STATUS_MSTKERR | FAULT_STATUS_MUNSTKERR | FAULT_STATUS_STKERR | FAULT_STATUS_UNSTKERR)) {
        return FAULT_STACK; // there was no room for the frame
    }
    if (status & (FAULT_STATUS_IACCVIOL | FAULT_STATUS_IBUSERR)) {
        return FAULT_EXECUTE;
    }
    if (status & FAULT_STATUS_DACCVIOL) {
        return FAULT_MEMORY;
    }
    if (status & (FAULT_STATUS_PRECISERR | FAULT_STATUS_IMPRECISERR)) {
        return FAULT_BUS;
    }
    return FAULT_USAGE; // undefined, no Thumb state, division by zero; BKPT arrives as HardFault with no bit set
}

static void dispatch_fault(void) {
    uint32_t status = fault_status();
    struct core_fault fault = {.reason = fault_reason_of(status), .stack_pointer = core_current->stack_pointer};
    if (status & FAULT_STATUS_MMARVALID) {
        fault.address = fault_memory_address();
        fault.address_known = true;
    } else if (status & FAULT_STATUS_BFARVALID) {
        fault.address = fault_bus_address();
        fault.address_known = true;
    }
    fault_clear(status);
    scb_clear_call(); // a call whose frame could not be pushed must not be made by whoever runs next
    monitor_fault(&fault);
}

uint32_t core_frame_instruction(const struct core_context *context) {
    return frame_of(context)->pc;
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
            dispatch_fault();
            break;
        default:
            if (exception < 16u) {
                monitor_panic(); // NMI, debug monitor, PendSV: nobody uses them
            }
            monitor_interrupt(exception - 16u);
    }
}

// ---- contexts ----

void core_context_idle(struct core_context *context) {
    context->exception_return = RETURN_TO_IDLE;
    context->control = 0;
}

void core_context_task(
    struct core_context *context, uint32_t stack_top, void (*entry)(const struct task *), const struct task *argument, void (*after)(void)) {
    struct frame *frame = (struct frame *)stack_top - 1;
    *frame = (struct frame){
        .r0 = (uint32_t)argument,
        .lr = (uint32_t)after,
        .pc = (uint32_t)entry & ~1u,
        .xpsr = XPSR_THUMB,
    };
    *context = (struct core_context){
        .stack_pointer = (uint32_t)frame,
        .exception_return = RETURN_TO_TASK,
        .control = CONTROL_UNPRIVILEGED,
    };
}

bool core_frame_inside(const struct core_context *context, uint32_t base, uint32_t size) {
    uint32_t at = context->stack_pointer;
    return (at & 7u) == 0 && at >= base && size >= sizeof(struct frame) && at - base <= size - sizeof(struct frame);
}

uint32_t core_call_number(const struct core_context *context) {
    return frame_of(context)->r12;
}

uint32_t core_call_argument(const struct core_context *context, unsigned index) {
    const struct frame *frame = frame_of(context);
    return index == 0 ? frame->r0 : index == 1 ? frame->r1 : frame->r2;
}

void core_call_result(const struct core_context *context, uint32_t value) {
    ((struct frame *)context->stack_pointer)->r0 = value;
}

void core_call_result_wide(const struct core_context *context, uint64_t value) {
    struct frame *frame = (struct frame *)context->stack_pointer;
    frame->r0 = (uint32_t)value;
    frame->r1 = (uint32_t)(value >> 32);
}

// ---- protection and start ----

void core_map_task(const struct task *task, const struct mpu_region *window) {
    if (window != 0) {
        mpu_set_region(window->rbar, window->attributes);
    } else {
        mpu_clear_region(3u);
    }
    mpu_set_region(task->memory.rbar, task->memory.attributes);
    for (unsigned i = 0; i < TASK_GRANTS; i++) {
        mpu_set_region(task->grants[i].rbar, task->grants[i].attributes);
    }
    mpu_synchronise();
}

static void start_protection(void) {
    mpu_disable();
    for (uint32_t region = 0; region < mpu_regions(); region++) {
        mpu_clear_region(region);
    }
    mpu_set_region(BOARD_MPU_FLASH_RBAR, BOARD_MPU_FLASH_RASR);
    mpu_set_region(BOARD_MPU_RAM_RBAR, BOARD_MPU_RAM_RASR);
    if (coffret_counts.slot == 0) {
        mpu_set_region(BOARD_MPU_SLOT_A_RBAR, BOARD_MPU_SLOT_A_RASR);
    } else {
        mpu_set_region(BOARD_MPU_SLOT_B_RBAR, BOARD_MPU_SLOT_B_RASR);
    }
    mpu_set_region(BOARD_MPU_SECRETS_RBAR, BOARD_MPU_SECRETS_RASR);
    mpu_enable();
}

void core_start(uint32_t tick_hz) {
    if (mpu_regions() < BOARD_MPU_REGIONS) {
        monitor_panic(); // without the unit every promise is void
    }
    scb_set_vector_table((uint32_t)&core_vectors);
    for (uint32_t irq = 0; irq < BOARD_EXTERNAL_INTERRUPTS; irq++) {
        nvic_disable(irq);
        nvic_clear_pending(irq);
        nvic_set_priority(irq, PRIORITY_MONITOR);
    }
    scb_set_exception_priority(EXCEPTION_MEMORY, PRIORITY_FAULT);
    scb_set_exception_priority(EXCEPTION_BUS, PRIORITY_FAULT);
    scb_set_exception_priority(EXCEPTION_USAGE, PRIORITY_FAULT);
    scb_set_exception_priority(EXCEPTION_SVCALL, PRIORITY_MONITOR);
    scb_set_exception_priority(EXCEPTION_PENDSV, PRIORITY_MONITOR);
    scb_set_exception_priority(EXCEPTION_SYSTICK, PRIORITY_MONITOR);
    scb_enable_faults();
    scb_trap(false);
    start_protection();
    systick_start(BOARD_CLOCK_HZ / tick_hz);
    scb_pend_tick(); // the first decision needs no wait
}

void core_idle(void) {
    cpu_interrupts_enable();
    for (;;) {
        cpu_wait_for_interrupt();
    }
}
