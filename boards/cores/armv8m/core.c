// SPDX-License-Identifier: Apache-2.0
// The monitor's core port for Armv8-M Mainline, in the Non-secure world, without FPU (Cortex-M33; Arm DDI 0553, the
// Architecture Reference Manual). What differs from ../armv7m: stacks have limits, protection regions must not overlap,
// a task may be interrupted inside a gateway of the Secure world, and an access to Secure memory is a fault that the
// Secure world sees first and passes on to us (boot_start.c).
//
// One entry serves every exception. Calls, ticks and interrupts share one priority and so never interrupt each
// other; the fault exceptions are more urgent, because a fault while the processor pushes a task's frame must be
// dealt with before the exception that wanted the push. A fault of the monitor itself is seen by EXC_RETURN.
#include "board_config.h"
#include "coffret/core.h"
#include "coffret/section.h"
#include "coffret/syscall.h"
#include "gateways.h"
#include "image_facts.h"
#include "registers.h"

#define PRIORITY_FAULT 0u
#define PRIORITY_MONITOR 0x80u

// EXC_RETURN of the Non-secure world (section B3.21): thread mode, frame on the Non-secure stack.
#define RETURN_TO_IDLE 0xFFFFFFB8u  // main stack
#define RETURN_TO_TASK 0xFFFFFFBCu  // process stack
#define RETURN_FRAME_IS_SECURE 0x40u // the task was interrupted inside a gateway
#define XPSR_THUMB (1u << 24)

// What the processor pushes (section B3.19).
struct frame {
    uint32_t r0, r1, r2, r3, r12, lr, pc, xpsr;
};

extern uint32_t __main_stack_top[];

_Static_assert(sizeof(struct core_context) == 12 * 4, "core_exception knows the layout");
_Static_assert(BOARD_MPU_REGIONS >= 8u, "the map below needs eight regions");

// ---- entry ----

// Register atlas: on entry r0-r3, r12, lr, pc, xPSR are on the interrupted stack and lr is EXC_RETURN;
// r4-r11 are still the task's, and nothing may touch them before they are stored. (Interrupted in a gateway, they are
// zero: the Secure stack has them.)
__attribute__((naked, used)) static void core_exception(void) {
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

__attribute__((used)) static void core_reset(void) {
    cpu_interrupts_disable();
    monitor_start();
}

static const struct image_facts facts = {
    .magic = IMAGE_FACTS_MAGIC,
    .counts = &coffret_counts,
    .components = coffret_components,
    .appliance_version = coffret_appliance_version,
};

#define EXCEPTIONS (16u + BOARD_EXTERNAL_INTERRUPTS)
_Static_assert(EXCEPTIONS * 4u <= 512u, "the table is aligned to the 512 bytes of the image's header");
typedef void (*vector)(void);

__attribute__((section(".vectors"), used)) const struct {
    uint32_t *main_stack;
    vector reset;
    vector fault[IMAGE_FACTS_VECTOR - 2u];
    const struct image_facts *facts;
    vector exception[EXCEPTIONS - IMAGE_FACTS_VECTOR - 1u];
} core_vectors = {
    __main_stack_top,
    core_reset,
    {[0 ... IMAGE_FACTS_VECTOR - 3u] = core_exception},
    &facts,
    {[0 ... EXCEPTIONS - IMAGE_FACTS_VECTOR - 2u] = core_exception},
};

// ---- faults ----

static const struct frame *frame_of(const struct core_context *context) {
    return (const struct frame *)context->stack_pointer;
}

// Why, from the status registers (CFSR, section D1.2). More than one bit may be set; the first match decides.
static uint32_t fault_reason_of(uint32_t status) {
    if (status & (FAULT_STATUS_STKOF | FAULT_STATUS_MSTKERR | FAULT_STATUS_MUNSTKERR | FAULT_STATUS_STKERR |
                  FAULT_STATUS_UNSTKERR)) {
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
        if (status & FAULT_STATUS_MMARVALID) {
            fault.address = fault_memory_address();
            fault.address_known = true;
        } else if (status & FAULT_STATUS_BFARVALID) {
            fault.address = fault_bus_address();
            fault.address_known = true;
        }
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
            dispatch_fault(exception);
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
    if (context->exception_return & RETURN_FRAME_IS_SECURE) {
        // Its frame on the Secure stack would stay, and the gateways closed. Today only the task that runs is ended.
        monitor_panic();
    }
    struct frame *frame = (struct frame *)stack_top - 1;
    *frame = (struct frame){
        .r0 = (uint32_t)argument,
        .lr = (uint32_t)after,
        .pc = (uint32_t)entry & ~1u,
        .xpsr = XPSR_THUMB,
    };
    *context = (struct core_context){
        .stack_pointer = (uint32_t)frame,
        .stack_limit = argument->stack_base,
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

// An address in two regions faults (section B8.3), so privileged memory is what lies between the open regions:
//
//   RAM   | privileged | window, of the enclave that runs | privileged | the task's memory | privileged |
//
// The background map would give privileged code the same, but would let it execute RAM.
enum region {
    REGION_SLOT,        // running image: read only, executable
    REGION_LOW,         // RAM up to the window or, for a service, up to its memory
    REGION_MIDDLE,      // between window and memory
    REGION_WINDOW,
    REGION_MEMORY,
    REGION_GRANTS,      // two
    REGION_HIGH = REGION_GRANTS + TASK_GRANTS,
    REGION_BEYOND       // on units with more than eight
};

static void set_privileged(uint32_t region, uint32_t base, uint32_t end) {
    if (base < end) {
        mpu_set_region(region, base | MPU_PRIVILEGED_RW_NEVER_EXECUTED, (end - 32u) | MPU_NORMAL);
    } else {
        mpu_clear_region(region);
    }
}

static struct mpu_region other_slot(void) {
    if (coffret_counts.slot == 0) {
        return (struct mpu_region){BOARD_MPU_SLOT_B_CLOSED_RBAR, BOARD_MPU_SLOT_B_CLOSED_RLAR};
    }
    return (struct mpu_region){BOARD_MPU_SLOT_A_CLOSED_RBAR, BOARD_MPU_SLOT_A_CLOSED_RLAR};
}

// The other slot holds what came from outside: nobody may execute it, not by mistake either. The manager's grant says so
// itself; for the others it takes whichever region is free. With eight, an enclave with two devices leaves none: then
// privileged code alone could.
static void close_other_slot(const struct task *task, bool window) {
    struct mpu_region slot = other_slot();
    uint32_t region = window ? REGION_BEYOND : REGION_WINDOW;
    if (REGION_BEYOND < mpu_regions()) {
        mpu_clear_region(REGION_BEYOND);
    }
    for (uint32_t i = 0; i < TASK_GRANTS; i++) {
        if (task->grants[i].attributes == 0) {
            region = REGION_GRANTS + i;
        } else if (mpu_region_base(task->grants[i].rbar) == mpu_region_base(slot.rbar)) {
            return;
        }
    }
    if (region < mpu_regions()) {
        mpu_set_region(region, slot.rbar, slot.attributes);
    }
}

void core_map_task(const struct task *task, const struct mpu_region *window) {
    uint32_t base = mpu_region_base(task->memory.rbar), end = mpu_region_end(task->memory.attributes);
    mpu_disable(); // the regions overlap while they change
    if (window != 0) {
        set_privileged(REGION_LOW, BOARD_RAM_BASE, mpu_region_base(window->rbar));
        mpu_set_region(REGION_WINDOW, window->rbar, window->attributes);
        set_privileged(REGION_MIDDLE, mpu_region_end(window->attributes), base);
    } else {
        set_privileged(REGION_LOW, BOARD_RAM_BASE, base);
        mpu_clear_region(REGION_WINDOW);
        mpu_clear_region(REGION_MIDDLE);
    }
    mpu_set_region(REGION_MEMORY, task->memory.rbar, task->memory.attributes);
    for (uint32_t i = 0; i < TASK_GRANTS; i++) {
        mpu_set_region(REGION_GRANTS + i, task->grants[i].rbar, task->grants[i].attributes);
    }
    set_privileged(REGION_HIGH, end, BOARD_RAM_BASE + BOARD_RAM_SIZE);
    close_other_slot(task, window != 0);
    mpu_enable();
}

static void start_protection(void) {
    mpu_disable();
    for (uint32_t region = 0; region < mpu_regions(); region++) {
        mpu_clear_region(region);
    }
    mpu_set_memory_kinds();
    if (coffret_counts.slot == 0) {
        mpu_set_region(REGION_SLOT, BOARD_MPU_SLOT_A_RBAR, BOARD_MPU_SLOT_A_RLAR);
    } else {
        mpu_set_region(REGION_SLOT, BOARD_MPU_SLOT_B_RBAR, BOARD_MPU_SLOT_B_RLAR);
    }
    set_privileged(REGION_LOW, BOARD_RAM_BASE, BOARD_RAM_BASE + BOARD_RAM_SIZE); // until the first task runs
    mpu_enable();
}

void core_start(uint32_t tick_hz) {
    if (mpu_regions() < BOARD_MPU_REGIONS) {
        monitor_panic(); // without the unit every promise is void
    }
    cpu_set_main_stack_limit(BOARD_RAM_BASE); // the main stack lies at the very bottom (firmware/link.py)
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
