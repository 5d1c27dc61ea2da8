// SPDX-License-Identifier: Apache-2.0
// The management port for the one service that may use it: reading and writing block the caller alone. The
// bytes wait in the board's rings; the caller's buffer, checked when it called, is used when they move.
#include "monitor.h"

#include "coffret/board.h"

int32_t port_read(uint8_t task, uint32_t buffer, uint32_t capacity, uint32_t timeout_ms) {
    if (!may_write(task_of(task), buffer, capacity)) {
        return ERR_POINTER;
    }
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
