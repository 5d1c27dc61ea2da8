// SPDX-License-Identifier: Apache-2.0
// Who runs next: fixed priority, and slices of 10 ms among equals. A task that is put back (its slice used up,
// or it waited) gets a new turn, behind all others of its priority; a task that was only pre-empted keeps its
// turn and the rest of its slice, so that no rhythm of a higher priority can starve an equal.
#include "monitor.h"

#include "coffret/board.h"

struct core_context *core_current MONITOR_BSS;

static struct {
    struct core_context idle;
    uint64_t now;               // microseconds, read once at each entry
    uint32_t now_ms;            // the same in milliseconds, and
    uint32_t below_ms;          // the microseconds beyond it
    uint64_t charged_until;
    uint64_t slice_end;         // with fixed slices: when this one, or the pause behind it, ends
    uint32_t turn;              // the last one given
    uint8_t current;
    uint8_t slice;              // whose it is: the task that leads the partition
    uint8_t paused;             // the tick between two slices, in which nobody runs
    uint8_t begins_anew;        // the current task has: its map and window are to be made again
} scheduler MONITOR_BSS;

uint64_t monitor_now(void) {
    return scheduler.now;
}

uint32_t monitor_now_ms(void) {
    return scheduler.now_ms;
}

void clock_read(void) {
    uint64_t now = board_microseconds();
    uint32_t us = (uint32_t)(now - scheduler.now) + scheduler.below_ms; // at most a tick or two: 32 bits divide
    scheduler.now = now;
    scheduler.now_ms += us / US_PER_MS;
    scheduler.below_ms = us % US_PER_MS;
}

uint8_t current_task(void) {
    return scheduler.current;
}

uint64_t deadline_after(uint32_t timeout_ms) {
    return timeout_ms == UINT32_MAX ? NEVER : scheduler.now + (uint64_t)timeout_ms * US_PER_MS;
}

void give_up_slice(uint8_t task) {
    struct task_state *state = state_of(task);
    state->turn = ++scheduler.turn;
    state->slice_us = SLICE_US;
}

void begin_anew(uint8_t task) {
    scheduler.begins_anew |= task == scheduler.current;
    make_ready(task);
}

void make_ready(uint8_t task) {
    struct task_state *state = state_of(task);
    state->status = TASK_READY;
    state->wait = WAIT_NONE;
    give_up_slice(task);
}

void wait_until(uint8_t task, enum wait_for what, uint64_t time) {
    struct task_state *state = state_of(task);
    state->status = TASK_WAITING;
    state->wait = (uint8_t)what;
    state->wake_at = time;
}

void finish_wait(uint8_t task, enum wait_for what, int32_t result) {
    struct task_state *state = state_of(task);
    if (state->status != TASK_WAITING || state->wait != what) {
        return;
    }
    // Its frame was checked when it called, and nobody could change it since.
    core_call_result(&state->context, (uint32_t)result);
    make_ready(task);
}

// The time since the last decision goes to the task that ran.
static void charge(void) {
    uint32_t us = (uint32_t)(scheduler.now - scheduler.charged_until);
    scheduler.charged_until = scheduler.now;
    if (scheduler.current == NO_TASK) {
        return;
    }
    struct task_state *state = state_of(scheduler.current);
    state->cpu_us += us;
    state->cpu_ms += state->cpu_us / US_PER_MS;
    state->cpu_us %= US_PER_MS;
    if (us < state->slice_us) {
        state->slice_us -= us;
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
    uint8_t best = NO_TASK;
    for (uint8_t task = 0; task < coffret_counts.tasks; task++) {
        if (is_in_slice(task) && state_of(task)->status == TASK_READY && (best == NO_TASK || goes_before(task, best))) {
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
    const struct task *task = task_of(next);
    if (task->window_save != 0) {
        window_open(next);
    }
    core_map_task(task, task->window_save != 0 ? &coffret_window : NULL);
    core_current = &state_of(next)->context;
}

void schedule_start(void) {
    scheduler.current = NO_TASK;
    core_context_idle(&scheduler.idle);
    core_current = &scheduler.idle;
    clock_read();
    scheduler.charged_until = scheduler.now;
}

// ---- fixed slices: who is in which partition has the processor in its own slice and at no other time ----

bool has_fixed_slices(void) {
    return coffret_tasks[0].slice_ms != 0;
}

bool is_in_slice(uint8_t task) {
    return !has_fixed_slices() || (!scheduler.paused && task_of(task)->partition == scheduler.slice);
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
        scheduler.paused = 1;
    }
    if (scheduler.now < scheduler.slice_end) {
        return;
    }
    if (!scheduler.paused) {
        window_close(); // in whose time it is put away must not tell the next one whether there was anything
        scheduler.paused = 1;
        scheduler.slice_end += TICK_US;
        return;
    }
    do {
        scheduler.slice = (uint8_t)((scheduler.slice + 1u) % coffret_counts.tasks);
    } while (!leads(scheduler.slice));
    scheduler.paused = 0;
    scheduler.slice_end += task_of(scheduler.slice)->slice_ms * TICK_US - TICK_US;
}

void monitor_tick(void) {
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
        if (state->status == TASK_BACKOFF && (task_of(task)->flags & TASK_WORKER) != 0) {
            state->status = TASK_ASLEEP;
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
#ifdef MONITOR_DEVICES
    device_tick();
#endif
    schedule();
}
