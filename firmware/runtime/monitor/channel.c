// SPDX-License-Identifier: Apache-2.0
// Channels: bounded queues of messages, copied in and out by the monitor. A sender never waits; the flow rule is
// applied to each message, although the build proved it and the audit read it back from the image.
#include "monitor.h"

#include <string.h>

#include "coffret/board.h"
#include "label.h"

static uint32_t *queue_entry(const struct channel *channel, uint32_t index) {
    uint32_t words = 1u + (channel->max_size + 3u) / 4u; // length, then the message
    return (uint32_t *)channel->queue + index * words;
}

static bool may_flow(const struct channel *channel, const struct gate *gate) {
    const struct task *from = task_of(channel->from);
    if (channel->to & CHANNEL_TO_SINK) {
        const struct sink *sink = &coffret_sinks[channel->to & ~CHANNEL_TO_SINK];
        return secrecy_may_flow(&from->secrecy, gate, &sink->accepts); // the world asks for no integrity
    }
    const struct task *to = task_of(channel->to);
    return secrecy_may_flow(&from->secrecy, gate, &to->secrecy) &&
           integrity_may_flow(&from->integrity, gate, &to->integrity);
}

static int32_t refuse_flow(uint32_t number) {
    struct channel_state *state = &coffret_channel_states[number];
    if (!state->refused) {
        state->refused = 1;
        log_event("flow refused", coffret_channels[number].name);
    }
    return ERR_DENIED;
}

// 0, or ERR_FULL: nothing was taken.
static int32_t enqueue(uint32_t number, uint32_t message, uint32_t length) {
    const struct channel *channel = &coffret_channels[number];
    struct channel_state *state = &coffret_channel_states[number];
    if (state->count == channel->depth) {
        return ERR_FULL;
    }
    uint32_t last = state->head + state->count;
    uint32_t *entry = queue_entry(channel, last >= channel->depth ? last - channel->depth : last);
    entry[0] = length;
    memcpy(entry + 1, (const void *)message, length);
    state->count++;
    struct task_state *receiver = state_of(channel->to);
    if (receiver->wait == WAIT_CHANNELS && (receiver->channels & 1u << number) != 0) {
        finish_wait(channel->to, WAIT_CHANNELS, (int32_t)channels_readable(channel->to, receiver->channels));
    }
    return 0;
}

// What the sender learns of it. A flow to a higher label will be told nothing (emit): here is where.
static int32_t told_to_sender(int32_t result) {
    return result;
}

int32_t channel_send(uint8_t from, uint32_t number, uint32_t message, uint32_t length) {
    if (number >= coffret_counts.channels || coffret_channels[number].from != from) {
        return ERR_DENIED;
    }
    const struct channel *channel = &coffret_channels[number];
    if (length < channel->min_size || length > channel->max_size) {
        return ERR_SIZE;
    }
    if (!may_read(task_of(from), message, length)) {
        return ERR_POINTER;
    }
    const struct gate *gate = NULL;
    if (channel->gate != CHANNEL_NO_GATE) {
        gate = &coffret_gates[channel->gate];
        if (gate->task != from) {
            return refuse_flow(number);
        }
    }
    if (!may_flow(channel, gate)) {
        return refuse_flow(number);
    }
    int32_t result = gate != NULL ? gate_admit(channel->gate, length) : 0;
    if (result == 0 && (channel->to & CHANNEL_TO_SINK) != 0) {
        uint32_t stream = coffret_sinks[channel->to & ~CHANNEL_TO_SINK].device;
        result = board_stream_write(stream, (const uint8_t *)message, length) ? 0 : ERR_FULL;
    } else if (result == 0) {
        result = enqueue(number, message, length);
    }
    if (result == 0 && gate != NULL) {
        gate_count(channel->gate); // what was not taken costs nothing
    }
    return told_to_sender(result);
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
    if (state->count == 0) {
        return ERR_EMPTY;
    }
    const uint32_t *entry = queue_entry(channel, state->head);
    uint32_t length = entry[0];
    if (length > capacity) {
        return ERR_SIZE; // it stays
    }
    memcpy((void *)buffer, entry + 1, length);
    state->head = (uint8_t)(state->head + 1u == channel->depth ? 0 : state->head + 1u);
    state->count--;
    return (int32_t)length;
}

uint32_t channels_readable(uint8_t to, uint32_t mask) {
    uint32_t readable = 0;
    for (uint32_t number = 0; number < coffret_counts.channels; number++) {
        if (coffret_channels[number].to == to && coffret_channel_states[number].count != 0) {
            readable |= 1u << number;
        }
    }
    return readable & mask;
}

int32_t channels_wait(uint8_t to, uint32_t mask, uint32_t timeout_ms) {
    uint32_t readable = channels_readable(to, mask);
    if (readable != 0 || timeout_ms == 0) {
        return (int32_t)readable;
    }
    state_of(to)->channels = mask;
    wait_until(to, WAIT_CHANNELS, deadline_after(timeout_ms));
    return CALL_WAITS;
}
