// SPDX-License-Identifier: Apache-2.0
// Channels: bounded queues of messages, copied in and out by the monitor. A sender never waits; the flow rule is
// applied to each message, although the build proved it and the audit read it back from the image.
#include "monitor.h"

#include <string.h>

#include "coffret/board.h"
#include "label.h"

// One more than the depth where the sender must not learn that it is full, not even by the time a message takes.
static uint32_t entries_of(const struct channel *channel) {
    return channel->depth + (is_silent(channel) ? 1u : 0u);
}

static uint32_t *queue_entry(const struct channel *channel, uint32_t index) {
    uint32_t words = 1u + (channel->max_size + 3u) / 4u; // length, then the message
    return (uint32_t *)channel->queue + index * words;
}

static const struct label *secrecy_of_target(const struct channel *channel) {
    return is_to_sink(channel) ? &coffret_sinks[channel->to & ~CHANNEL_TO_SINK].accepts
                                         : &task_of(channel->to)->secrecy;
}

// Whether the flow rule lets a message of the channel pass; `gate` is the channel's then, or NULL.
bool channel_may_send(uint32_t number, const struct gate **gate) {
    const struct channel *channel = &coffret_channels[number];
    const struct task *from = task_of(channel->from);
    *gate = NULL;
    if (COFFRET_HAS_GATES && channel->gate != CHANNEL_NO_GATE) {
        *gate = &coffret_gates[channel->gate];
        if ((*gate)->task != channel->from) {
            return false;
        }
    }
    // The world asks for no integrity.
    return secrecy_may_flow(&from->secrecy, *gate, secrecy_of_target(channel)) &&
           (is_to_sink(channel) ||
            integrity_may_flow(&from->integrity, *gate, &task_of(channel->to)->integrity));
}

int32_t channel_refuse(uint32_t number) {
    struct channel_state *state = &coffret_channel_states[number];
    if (!state->refused) {
        state->refused = 1;
        log_event("flow refused", coffret_channels[number].name);
    }
    return ERR_DENIED;
}

// That a queue is full flows from the receiver to the sender: it is told only along a flow that is allowed.
static bool tells_sender(const struct channel *channel) {
    return channel->kind == CHANNEL_SEND &&
           secrecy_may_flow(secrecy_of_target(channel), NULL, &task_of(channel->from)->secrecy);
}

void channel_notify(uint32_t number) {
    const struct channel *channel = &coffret_channels[number];
    struct task_state *receiver = state_of(channel->to);
    // What a sender does that must not know must take as long whether the receiver waits or not: that one is woken
    // in its own slice.
    if (!is_call_channel(channel) && !is_in_slice(channel->to) && !tells_sender(channel)) {
        return;
    }
    if (COFFRET_HAS_WORKERS && receiver->status == TASK_ASLEEP) {
        worker_summon(channel->to);
    } else if (receiver->wait == WAIT_CHANNELS && (receiver->channels & 1u << number) != 0) {
        finish_wait(channel->to, WAIT_CHANNELS, (int32_t)channels_readable(channel->to, receiver->channels));
    }
}

void channels_catch_up(uint8_t to) {
    struct task_state *receiver = state_of(to);
    if (COFFRET_HAS_WORKERS && receiver->status == TASK_ASLEEP) {
        worker_summon(to);
    } else if (receiver->status == TASK_WAITING && receiver->wait == WAIT_CHANNELS) {
        uint32_t readable = channels_readable(to, receiver->channels);
        if (readable != 0) {
            finish_wait(to, WAIT_CHANNELS, (int32_t)readable);
        }
    }
}

// Whether it was taken. No branch depends on whether there is room but for senders that may know of it
// (tests/oracle/test_noninterference.py counts the instructions).
static bool enqueue(uint32_t number, const void *message, uint32_t length) {
    const struct channel *channel = &coffret_channels[number];
    struct channel_state *state = &coffret_channel_states[number];
    if (!is_silent(channel) && state->count >= channel->depth) {
        state->dropped++;
        return false;
    }
    uint32_t full = state->count >= channel->depth;
    uint32_t entries = entries_of(channel);
    uint32_t last = state->head + state->count;
    uint32_t *entry = queue_entry(channel, last - (entries & (0u - (uint32_t)(last >= entries))));
    entry[0] = length;
    copy_bytes((uint32_t)(entry + 1), (uint32_t)message, length);
    state->count = (uint8_t)(state->count + 1u - full);
    state->dropped += full;
    channel_notify(number);
    return !full;
}

int32_t channel_send(uint8_t from, uint32_t number, uint32_t message, uint32_t length) {
    if (number >= coffret_counts.channels || coffret_channels[number].from != from) {
        return ERR_DENIED;
    }
    const struct channel *channel = &coffret_channels[number];
    if (channel->kind != CHANNEL_SEND && channel->kind != CHANNEL_EMIT) {
        return ERR_DENIED;
    }
    if (length < channel->min_size || length > channel->max_size) {
        return ERR_SIZE;
    }
    if (!may_read(task_of(from), message, length)) {
        return ERR_POINTER;
    }
    const struct gate *gate;
    if (!channel_may_send(number, &gate)) {
        return channel_refuse(number);
    }
    if (COFFRET_HAS_GATES && gate != NULL) {
        int32_t refusal = gate_admit(channel->gate, length);
        if (refusal != 0) {
            return refusal;
        }
    }
    bool tells = tells_sender(channel), taken; // asked first: not only when there was no room
    if (is_to_sink(channel)) {
        uint32_t stream = coffret_sinks[channel->to & ~CHANNEL_TO_SINK].device;
        taken = board_stream_write(stream, (const uint8_t *)message, length);
    } else {
        taken = enqueue(number, (const void *)message, length);
    }
    taken |= !tells;
    if (COFFRET_HAS_GATES && taken && gate != NULL) {
        gate_count(channel->gate); // what was seen not to be taken costs nothing
    }
    return taken ? 0 : ERR_FULL;
}

void channels_tell_fault(uint8_t from, const struct fault_report *report) {
    for (uint32_t number = 0; number < coffret_counts.channels; number++) {
        const struct channel *channel = &coffret_channels[number];
        const struct gate *gate;
        if (channel->from == from && channel->kind == CHANNEL_FAULTS && channel->max_size >= sizeof *report &&
            !is_to_sink(channel) && channel_may_send(number, &gate)) {
            enqueue(number, report, sizeof *report);
        }
    }
}

static void take_away(uint32_t number) {
    struct channel_state *state = &coffret_channel_states[number];
    uint32_t *entry = queue_entry(&coffret_channels[number], state->head);
    memset(entry + 1, 0, entry[0]); // nothing of it stays behind
    state->head = (uint8_t)(state->head + 1u == entries_of(&coffret_channels[number]) ? 0 : state->head + 1u);
    state->count--;
}

void channel_forget_served(uint8_t to) {
    struct task_state *state = state_of(to);
    if (state->served != 0 && coffret_channels[state->served - 1u].kind != CHANNEL_CALL) {
        take_away(state->served - 1u);
    }
    state->served = 0;
}

int32_t channel_receive(uint8_t to, uint32_t number, uint32_t buffer, uint32_t capacity) {
    if (number >= coffret_counts.channels || coffret_channels[number].to != to) {
        return ERR_DENIED;
    }
    const struct channel *channel = &coffret_channels[number];
    struct channel_state *state = &coffret_channel_states[number];
    if (!may_write(task_of(to), buffer, capacity)) {
        return ERR_POINTER;
    }
    if (worker_is_done(to)) {
        task_end(to, END_EXIT, 0, 0);
        return CALL_WAITS;
    }
    if (state->count == 0) {
        return ERR_EMPTY;
    }
    if (is_call_channel(channel)) {
        return call_take(to, number, buffer, capacity);
    }
    const uint32_t *entry = queue_entry(channel, state->head);
    uint32_t length = entry[0];
    if (length > capacity) {
        return ERR_SIZE; // it stays
    }
    copy_bytes(buffer, (uint32_t)(entry + 1), length);
    if (is_worker(task_of(to))) {
        state_of(to)->served = (uint8_t)(number + 1u);
    }
    if (!is_summoned(task_of(to))) { // else it stays until it has been served
        take_away(number);
    }
    return (int32_t)length;
}

uint32_t channels_readable(uint8_t to, uint32_t mask) {
    uint32_t readable = 0;
    for (uint32_t number = 0; COFFRET_HAS_CHANNELS && number < coffret_counts.channels; number++) {
        if (coffret_channels[number].to == to && coffret_channel_states[number].count != 0) {
            readable |= 1u << number;
        }
    }
    return readable & mask;
}

int32_t channels_wait(uint8_t to, uint32_t mask, uint32_t timeout_ms) {
    uint32_t readable = channels_readable(to, mask);
    if (mask != 0 && (worker_is_done(to) || (readable == 0 && is_worker(task_of(to))))) {
        task_end(to, END_EXIT, 0, 0); // a worker does not wait: what comes next finds a fresh one
        return CALL_WAITS;
    }
    if (readable != 0 || timeout_ms == 0) {
        return (int32_t)readable;
    }
    state_of(to)->channels = mask;
    wait_until(WAIT_CHANNELS, deadline_after(timeout_ms));
    return CALL_WAITS;
}

int32_t channel_dropped(uint8_t to, uint32_t number) {
    if (number >= coffret_counts.channels || coffret_channels[number].to != to) {
        return ERR_DENIED;
    }
    return (int32_t)(coffret_channel_states[number].dropped & INT32_MAX);
}
