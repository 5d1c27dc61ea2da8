// SPDX-License-Identifier: Apache-2.0
// From the reset vector to the idle loop. Boot has left interrupts off or unused, and RAM wiped but for the handoff;
// nothing here relies on the second.
#include "monitor.h"

#include "coffret/board.h"

static void clear(uint32_t *word, const uint32_t *end) {
    while (word < end) {
        *word++ = 0;
    }
}

static void start_streams(void) {
    for (uint8_t sink = 0; COFFRET_HAS_SINKS && sink < coffret_counts.sinks; sink++) {
        board_stream_start(coffret_sinks[sink].device);
    }
}

void monitor_start(void) {
    clear(__monitor_start, __monitor_end);
    clear(__window_start, __window_end);
    board_init();
    port_guard_trial();
    storage_start();
    schedule_start();
    if (COFFRET_HAS_GATES) {
        gates_start();
    }
    log_event("boot", coffret_appliance_name);
    for (uint8_t task = 0; task < coffret_counts.tasks; task++) {
        state_of(task)->task = task_of(task);
        task_scrub(task);
        if (is_worker(task_of(task))) {
            set_status(task, TASK_ASLEEP);
        } else {
            task_start(task);
        }
    }
    core_start(TICK_HZ);
    // Interrupts of the devices: only now, core_start has silenced all of them.
    board_port_use_interrupts();
    start_streams();
    core_idle();
}
