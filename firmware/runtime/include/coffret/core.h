// SPDX-License-Identifier: Apache-2.0
// What the monitor asks of the processor core, and what the core calls in the monitor. One implementation a
// core in boards/cores/<architecture>/core.c; its core_context.h completes `struct core_context`.
#ifndef COFFRET_CORE_H
#define COFFRET_CORE_H

#include <stdbool.h>
#include <stdint.h>

#include "core_context.h" // the core's own
#include "core_frame.h"   // what it pushes on the stack of whom it interrupts
#include "coffret/tables.h"

// ---- asked of the core ----

// Whose registers are saved at the next exception and loaded at its end. Set by the scheduler only.
extern struct core_context *core_current;

// Protection unit on with the board's own regions, exception priorities, the periodic interrupt of `tick_hz`
// (the first one is due at once). Interrupts stay masked until core_idle.
void core_start(uint32_t tick_hz);

// The context of the idle loop: what runs when no task is ready.
void core_context_idle(struct core_context *context);

// The context of a task at its first instruction: every register zero but the stack pointer (at `stack_top`, a
// multiple of 8) and the argument. If `entry` returns, `after` runs. The stack must be writable memory.
void core_context_task(
    struct core_context *context, uint32_t stack_top, void (*entry)(const struct task *), const struct task *argument, void (*after)(void));

// Open to the running task: its memory and its grants, and the window if it has one.
void core_map_task(const struct task *task, const struct mpu_region *window);

// Of one device. What became pending while it was off comes when it is on.
void core_interrupt_enable(uint32_t irq);
void core_interrupt_disable(uint32_t irq);

// With interrupts on, sleep for ever: the end of start-up, and the idle loop.
__attribute__((noreturn)) void core_idle(void);

// ---- called by the core, from one exception priority, so never one inside another ----

struct core_fault {
    uint32_t reason;            // enum fault_reason
    uint32_t address;           // of the data
    bool address_known;         // false also when the instruction itself was the fault
    uint32_t stack_pointer;     // of the task, before the exception
};

void monitor_call(void);
void monitor_tick(void);
void monitor_interrupt(uint32_t irq);
void monitor_fault(const struct core_fault *fault);
// The monitor itself went wrong: there is nothing left to trust.
__attribute__((noreturn)) void monitor_panic(void);
// First C of the image, on the main stack, interrupts masked.
__attribute__((noreturn)) void monitor_start(void);

#endif
