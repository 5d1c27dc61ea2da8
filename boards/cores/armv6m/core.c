// SPDX-License-Identifier: Apache-2.0
// The monitor's core port for Armv6-M with the unprivileged and protection extensions (Cortex-M0+; Arm DDI 0419, the
// Architecture Reference Manual).
//
// One entry serves every exception. Calls, ticks and interrupts share one priority and so never interrupt each
// other. Every fault is a HardFault, above all of them; there is no status register that says which. A fault of the
// monitor itself is seen by EXC_RETURN.
#include "board_config.h"
#include "coffret/core.h"
#include "coffret/section.h"
#include "coffret/syscall.h"
#include "registers.h"

#define PRIORITY_MONITOR 0x80u

#define RETURN_TO_IDLE 0xFFFFFFF9u  // thread mode, main stack
#define RETURN_TO_TASK 0xFFFFFFFDu  // thread mode, process stack
#define XPSR_THUMB (1u << 24)

// What the processor pushes (section B1.5.6).
struct frame {
    uint32_t r0, r1, r2, r3, r12, lr, pc, xpsr;
};

extern uint32_t __main_stack_top[];
extern const uint8_t __image_start[];
extern const uint8_t __image_end[];

// Whose memory the protection unit opens: the task that runs, or ran before the idle loop.
MONITOR_BSS static const struct task *mapped;
// A call whose frame could not be pushed waits behind the fault and comes when somebody else is about to run.
MONITOR_BSS static bool call_is_stale;

_Static_assert(sizeof(struct core_context) == 11 * 4, "core_exception knows the layout");
_Static_assert(BOARD_MPU_REGIONS >= 8u, "the map of docs/internals.md needs eight regions");
_Static_assert(BOARD_EXTERNAL_INTERRUPTS <= 32u, "Armv6-M has 32 lines at most");

// ---- entry ----

// Register atlas: on entry r0-r3, r12, lr, pc, xPSR are on the interrupted stack and lr is EXC_RETURN;
// r4-r11 are still the task's, and nothing may touch them before they are stored. Multiple loads and stores and
// immediates reach r0-r7 alone.
__attribute__((naked, used)) static void core_exception(void) {
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
    fault.reason = fault_reason_of(mapped, core_current);
    // Of one priority the lowest number is first (section B1.5.4), so a call that waits is the one named.
    call_is_stale = scb_pending_exception() == EXCEPTION_SVCALL;
    monitor_fault(&fault);
}

uint32_t core_frame_instruction(const struct core_context *context) {
    return frame_of(context)->pc;
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
    mapped = task;
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
    scb_set_exception_priority(EXCEPTION_SVCALL, PRIORITY_MONITOR);
    scb_set_exception_priority(EXCEPTION_PENDSV, PRIORITY_MONITOR);
    scb_set_exception_priority(EXCEPTION_SYSTICK, PRIORITY_MONITOR);
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
