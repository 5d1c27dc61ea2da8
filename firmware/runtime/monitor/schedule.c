// SPDX-License-Identifier: Apache-2.0
// Who runs next: fixed priority, and slices of 10 ms among equals. A task that is put back (its slice used up,
// or it waited) gets a new turn, behind all others of its priority; a task that was only pre-empted keeps its
// turn and the rest of its slice, so that no rhythm of a higher priority can starve an equal.
#include "monitor.h"

#include "board_config.h"
#include "coffret/board.h"

#define TICKS_PER_MS (BOARD_TICKS_PER_US * US_PER_MS)
#define SLICE_TICKS (SLICE_MS * TICKS_PER_MS)
#define EVERYBODY UINT32_MAX

struct core_context *core_current MONITOR_BSS;

static struct {
    struct core_context idle;
    uint32_t ready;             // bit n: task n is TASK_READY
    uint32_t in_slice;          // bit n: task n may run now; 0 in the tick between two fixed slices
    uint64_t now;               // microseconds, if it was read since this entry
    uint32_t now_ms;            // the same in milliseconds, and
    uint32_t below_ms;          // the microseconds beyond it
    uint32_t charged_until;     // ticks of the board
    uint64_t slice_end;         // with fixed slices: when this one, or the pause behind it, ends
    uint32_t turn;              // the last one given
    uint8_t current;
    uint8_t slice;              // whose it is: the task that leads the partition
    uint8_t begins_anew;        // the current task has: its map and window are to be made again
    uint8_t clock_is_read;      // `now` is of this entry
} scheduler MONITOR_BSS;

static void clock_read(void) {
    if (scheduler.clock_is_read) {
        return;
    }
    uint64_t now = board_microseconds();
    uint32_t us = (uint32_t)(now - scheduler.now) + scheduler.below_ms; // at most a tick or two: 32 bits divide
    scheduler.now = now;
    scheduler.now_ms += us / US_PER_MS;
    scheduler.below_ms = us % US_PER_MS;
    scheduler.clock_is_read = 1;
}

void clock_forget(void) {
    scheduler.clock_is_read = 0;
}

uint64_t monitor_now(void) {
    clock_read();
    return scheduler.now;
}

uint32_t monitor_now_ms(void) {
    clock_read();
    return scheduler.now_ms;
}

uint8_t current_task(void) {
    return scheduler.current;
}

struct task_state *current_state(void) {
    return (struct task_state *)core_current; // its context is its first part
}

uint64_t deadline_after(uint32_t timeout_ms) {
    return timeout_ms == UINT32_MAX ? NEVER : monitor_now() + (uint64_t)timeout_ms * US_PER_MS;
}

// The four that every call and its reply go through, in place: calls of them would be a tenth of what that costs.
#define IN_PLACE static inline __attribute__((always_inline))

IN_PLACE void begin_turn(struct task_state *state) {
    state->turn = ++scheduler.turn;
    state->slice_ticks = SLICE_TICKS;
}

IN_PLACE void mark(struct task_state *state, uint8_t task, enum task_status status) {
    state->status = (uint8_t)status;
    uint32_t bit = 1u << task;
    scheduler.ready = status == TASK_READY ? scheduler.ready | bit : scheduler.ready & ~bit;
}

IN_PLACE void mark_ready(struct task_state *state, uint8_t task) {
    mark(state, task, TASK_READY);
    state->wait = WAIT_NONE;
    begin_turn(state);
}

IN_PLACE void mark_waiting(struct task_state *state, uint8_t task, enum wait_for what, uint64_t time) {
    mark(state, task, TASK_WAITING);
    state->wait = (uint8_t)what;
    state->wake_at = time;
}

void give_up_slice(uint8_t task) {
    begin_turn(state_of(task));
}

void set_status(uint8_t task, enum task_status status) {
    mark(state_of(task), task, status);
}

void make_ready(uint8_t task) {
    mark_ready(state_of(task), task);
}

void begin_anew(uint8_t task) {
    scheduler.begins_anew |= task == scheduler.current;
    make_ready(task);
}

void wait_for_ever(enum wait_for what) {
    mark_waiting(current_state(), scheduler.current, what, NEVER);
}

void wait_until(enum wait_for what, uint64_t time) {
    mark_waiting(current_state(), scheduler.current, what, time);
}

void finish_wait(uint8_t task, enum wait_for what, int32_t result) {
    struct task_state *state = state_of(task);
    if (state->status == TASK_WAITING && state->wait == what) {
        end_wait(task, result);
    }
}

void end_wait(uint8_t task, int32_t result) {
    struct task_state *state = state_of(task);
    // Its frame was checked when it called, and nobody could change it since.
    core_call_result(&state->context, (uint32_t)result);
    mark_ready(state, task);
}

// The time since the last decision goes to the task that ran.
static void charge(void) {
    uint32_t now = board_ticks(), ticks = now - scheduler.charged_until;
    scheduler.charged_until = now;
    if (scheduler.current == NO_TASK) {
        return;
    }
    struct task_state *state = current_state();
    state->cpu_ticks += ticks;
    if (state->cpu_ticks >= TICKS_PER_MS) {
        state->cpu_ms += state->cpu_ticks / TICKS_PER_MS;
        state->cpu_ticks %= TICKS_PER_MS;
    }
    if (ticks < state->slice_ticks) {
        state->slice_ticks -= ticks;
    } else if (state->status == TASK_READY) {
        give_up_slice(scheduler.current);
    }
}

static bool goes_before(uint8_t task, uint8_t other) {
    if (task_of(task)->priority != task_of(other)->priority) {
        return task_of(task)->priority < task_of(other)->priority;
    }
    return (int32_t)(state_of(task)->turn - state_of(other)->turn) < 0; // turns wrap round
}

static uint8_t choose(void) {
    // Only of those whose slice it is: how many others are ready must not be told by the time that this takes.
    uint32_t left = scheduler.ready & scheduler.in_slice;
    if (left == 0) {
        return NO_TASK;
    }
    uint8_t best = (uint8_t)__builtin_ctz(left);
    while ((left &= left - 1u) != 0) {
        uint8_t task = (uint8_t)__builtin_ctz(left);
        if (goes_before(task, best)) {
            best = task;
        }
    }
    return best;
}

void schedule(void) {
    charge();
    uint8_t next = choose();
    if (next == scheduler.current && !scheduler.begins_anew) {
        return;
    }
    scheduler.current = next;
    scheduler.begins_anew = 0;
    if (next == NO_TASK) {
        core_current = &scheduler.idle; // the memory map of the task before stays: idle runs no code of anybody's
        return;
    }
    struct task_state *state = state_of(next);
    const struct task *task = state->task;
    if (task->window_save != 0) {
        window_open((uint32_t *)task->window_save);
        core_map_task(task, &coffret_window);
    } else {
        core_map_task(task, NULL);
    }
    core_current = &state->context;
}

void schedule_start(void) {
    scheduler.current = NO_TASK;
    core_context_idle(&scheduler.idle);
    core_current = &scheduler.idle;
    scheduler.in_slice = has_fixed_slices() ? 0u : EVERYBODY;
    scheduler.charged_until = board_ticks();
}

// ---- fixed slices: who is in which partition has the processor in its own slice and at no other time ----

bool has_fixed_slices(void) {
    return COFFRET_HAS_SLICES && coffret_tasks[0].slice_ms != 0;
}

bool is_in_slice(uint8_t task) {
    return !COFFRET_HAS_SLICES || (scheduler.in_slice >> task & 1u) != 0;
}

static uint32_t partition_of(uint8_t leader) {
    uint32_t members = 0;
    for (uint8_t task = 0; task < coffret_counts.tasks; task++) {
        members |= (uint32_t)(task_of(task)->partition == leader) << task;
    }
    return members;
}

static bool leads(uint8_t task) {
    return task_of(task)->partition == task && task_of(task)->slice_ms != 0;
}

// The last tick of each slice belongs to nobody. The next slice is entered from the idle loop by a tick that is
// on time, whatever the monitor had to do for the slice before (for less than a tick: not writing flash).
static void next_slice(void) {
    if (scheduler.slice_end == 0) { // the first tick
        scheduler.slice_end = scheduler.now + TICK_US / 2u; // halfway between ticks, so that none is on the edge
        scheduler.slice = (uint8_t)(coffret_counts.tasks - 1u);
        scheduler.in_slice = 0;
    }
    if (scheduler.now < scheduler.slice_end) {
        return;
    }
    if (scheduler.in_slice != 0) {
        window_close(); // in whose time it is put away must not tell the next one whether there was anything
        scheduler.in_slice = 0;
        scheduler.slice_end += TICK_US;
        return;
    }
    do {
        scheduler.slice = (uint8_t)((scheduler.slice + 1u) % coffret_counts.tasks);
    } while (!leads(scheduler.slice));
    scheduler.in_slice = partition_of(scheduler.slice);
    scheduler.slice_end += task_of(scheduler.slice)->slice_ms * TICK_US - TICK_US;
}

void monitor_tick(void) {
    clock_forget();
    clock_read();
    if (has_fixed_slices()) {
        next_slice();
    }
    for (uint8_t task = 0; task < coffret_counts.tasks; task++) {
        struct task_state *state = state_of(task);
        if (!is_in_slice(task)) {
            continue; // not even its waits are looked at: that would take the others' time
        }
        if (has_fixed_slices()) {
            channels_catch_up(task);
        }
        if (state->wake_at > scheduler.now) {
            continue;
        }
        if (state->status == TASK_BACKOFF && is_worker(task_of(task))) {
            set_status(task, TASK_ASLEEP);
            worker_summon(task);
        } else if (state->status == TASK_BACKOFF) {
            log_event("restart", task_of(task)->name);
            task_start(task);
        } else if (state->status == TASK_WAITING && state->wait == WAIT_PORT_READ) {
            port_read_timeout(task);
        } else if (state->status == TASK_WAITING) {
            finish_wait(task, (enum wait_for)state->wait, 0); // no channel is readable; other waits have no timeout
        }
    }
    if (COFFRET_HAS_DEVICES) {
        device_tick();
    }
    schedule();
}
