// SPDX-License-Identifier: Apache-2.0
// Workers: code that sees more than one person's data, but never two at once. Each label that it may run with is a
// task of its own in the tables; those of one worker share their memory, the *body*, one after the other. A worker
// is started clean when there is something for it, and wiped when it waits for more. Nothing takes on a label by
// reading: who sends chooses the label, by the channel.
#include "monitor.h"

static struct task_state *body_of(uint8_t task) {
    return state_of(task_of(task)->body);
}

void worker_summon(uint8_t task) {
    struct task_state *state = state_of(task), *body = body_of(task);
    if (state->status == TASK_ASLEEP && body->occupant == 0 && channels_readable(task, UINT32_MAX) != 0) {
        body->occupant = (uint8_t)(task + 1u);
        task_start(task);
    }
}

void worker_release(uint8_t task) {
    struct task_state *body = body_of(task);
    if (body->occupant != task + 1u) {
        return;
    }
    body->occupant = 0;
    // The others first, in turn, so that one who is never without messages keeps nobody out.
    for (uint8_t i = 1; i <= coffret_counts.tasks; i++) {
        uint8_t next = (uint8_t)((task + i) % coffret_counts.tasks);
        if (is_worker(task_of(next)) && task_of(next)->body == task_of(task)->body) {
            worker_summon(next);
        }
    }
}

bool worker_is_done(uint8_t task) {
    return is_summoned(task_of(task)) && state_of(task)->served != 0;
}
