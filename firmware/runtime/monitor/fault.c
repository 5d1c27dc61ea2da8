// SPDX-License-Identifier: Apache-2.0
// Faults of the task that runs, and interrupts: what the core hands to the monitor besides calls and ticks.
#include "monitor.h"

#include "coffret/board.h"

#define PUSH_MAX 64u            // the most one instruction stores below the stack pointer

// A store just below both the stack and its pointer is an overflow; anywhere else it is a wild pointer.
static bool is_overflow(const struct task *task, const struct core_fault *fault) {
    return fault->reason == FAULT_MEMORY && fault->address_known && fault->address < task->stack_base &&
           fault->address + PUSH_MAX >= fault->stack_pointer;
}

void monitor_fault(const struct core_fault *fault) {
    clock_forget();
    uint8_t number = current_task();
    if (number == NO_TASK) {
        monitor_panic(); // the idle loop touches nothing that could fault
    }
    const struct task *task = task_of(number);
    uint32_t reason = is_overflow(task, fault) ? FAULT_STACK : fault->reason;
    const struct core_context *context = &state_of(number)->context;
    uint32_t address = fault->address;
    if (!fault->address_known && core_frame_inside(context, task->memory_base, task->memory_size)) {
        address = core_frame_instruction(context);
    } else if (!fault->address_known) {
        address = fault->stack_pointer;
    }
    task_end(number, END_FAULT, (uint8_t)reason, address);
    schedule();
}

void monitor_interrupt(uint32_t irq) {
    clock_forget();
    if (COFFRET_HAS_DEVICES && device_interrupt(irq)) {
        schedule();
        return;
    }
    if (board_interrupt(irq) & (BOARD_EVENT_PORT_READABLE | BOARD_EVENT_PORT_WRITABLE)) {
        port_serve();
    }
    schedule();
}

void monitor_panic(void) {
    board_reset(); // boot measures and checks everything anew
}
