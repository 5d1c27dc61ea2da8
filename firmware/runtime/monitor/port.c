// SPDX-License-Identifier: Apache-2.0
// The management port for the one service that may use it: reading and writing block the caller alone. The
// bytes wait in the board's rings; the caller's buffer, checked when it called, is used when they move.
#include "monitor.h"

#include "board_config.h"
#include "coffret/board.h"

// On trial boot has started the watchdog. The manager, which alone can replace the image, shows that it lives by asking
// for bytes: often enough, because it is not left to wait for long.
#define TRIAL_WAIT_MS 1000u

void port_guard_trial(void) {
    if (__handoff.trial != 0) {
        (void)board_watchdog_start(BOARD_TRIAL_MS); // the driver here has to know of it
    }
}

static uint32_t show_life(uint32_t timeout_ms) {
    if (__handoff.trial == 0) {
        return timeout_ms;
    }
    board_watchdog_feed();
    return timeout_ms < TRIAL_WAIT_MS ? timeout_ms : TRIAL_WAIT_MS;
}

int32_t port_read(uint8_t task, uint32_t buffer, uint32_t capacity, uint32_t timeout_ms) {
    if (!may_write(task_of(task), buffer, capacity)) {
        return ERR_POINTER;
    }
    timeout_ms = show_life(timeout_ms);
    uint32_t length = board_port_read((uint8_t *)buffer, capacity);
    if (length != 0 || capacity == 0 || timeout_ms == 0) {
        return (int32_t)length;
    }
    struct task_state *state = state_of(task);
    state->buffer = buffer;
    state->length = capacity;
    wait_until(WAIT_PORT_READ, deadline_after(timeout_ms));
    return CALL_WAITS;
}

int32_t port_write(uint8_t task, uint32_t data, uint32_t length) {
    if (!may_read(task_of(task), data, length)) {
        return ERR_POINTER;
    }
    uint32_t done = board_port_write((const uint8_t *)data, length);
    if (done == length) {
        return (int32_t)length;
    }
    struct task_state *state = state_of(task);
    state->buffer = data;
    state->length = length;
    state->done = done;
    wait_for_ever(WAIT_PORT_WRITE);
    return CALL_WAITS;
}

static void continue_read(uint8_t task, struct task_state *state) {
    uint32_t length = board_port_read((uint8_t *)state->buffer, state->length);
    if (length != 0) {
        finish_wait(task, WAIT_PORT_READ, (int32_t)length);
    }
}

static void continue_write(uint8_t task, struct task_state *state) {
    const uint8_t *rest = (const uint8_t *)state->buffer + state->done;
    state->done += board_port_write(rest, state->length - state->done);
    if (state->done == state->length) {
        finish_wait(task, WAIT_PORT_WRITE, (int32_t)state->length);
    }
}

void port_read_timeout(uint8_t task) {
    struct task_state *state = state_of(task);
    // The board does not announce every byte: what has come of a line is here.
    finish_wait(task, WAIT_PORT_READ, (int32_t)board_port_read((uint8_t *)state->buffer, state->length));
}

void port_serve(void) {
    for (uint8_t task = 0; task < coffret_counts.tasks; task++) {
        struct task_state *state = state_of(task);
        if (state->status != TASK_WAITING) {
            continue;
        }
        if (state->wait == WAIT_PORT_READ) {
            continue_read(task, state);
        } else if (state->wait == WAIT_PORT_WRITE) {
            continue_write(task, state);
        }
    }
}
