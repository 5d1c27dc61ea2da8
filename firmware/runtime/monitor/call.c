// SPDX-License-Identifier: Apache-2.0
// Calls: a request and its reply, copied from one enclave's memory into the other's while the caller waits. Both
// ways must be legal, for the reply, its length and the end of the peer all flow back. A call has no queue: each
// such channel has one caller, who waits, and whose buffer holds the request until somebody takes it.
#include "monitor.h"

#include <string.h>

#include "label.h"

static struct channel_state *channel_of(uint32_t number) {
    return &coffret_channel_states[number];
}

static bool is_call(uint32_t number) {
    return number < coffret_counts.channels && coffret_channels[number].kind == CHANNEL_CALL;
}

static bool may_flow_back(const struct channel *channel) {
    const struct task *from = task_of(channel->to), *to = task_of(channel->from);
    return secrecy_may_flow(&from->secrecy, NULL, &to->secrecy) &&
           integrity_may_flow(&from->integrity, NULL, &to->integrity);
}

int32_t call_make(uint8_t from, uint32_t number, uint32_t buffer, uint32_t lengths) {
    if (!is_call(number) || coffret_channels[number].from != from || coffret_channels[number].to & CHANNEL_TO_SINK) {
        return ERR_DENIED;
    }
    const struct channel *channel = &coffret_channels[number];
    uint32_t length = lengths & 0xFFFFu, capacity = lengths >> 16;
    if (length < channel->min_size || length > channel->max_size) {
        return ERR_SIZE;
    }
    if (!is_own_memory(task_of(from), buffer, length > capacity ? length : capacity)) {
        return ERR_POINTER;
    }
    const struct gate *gate;
    if (channel->gate != CHANNEL_NO_GATE || !channel_may_send(number, &gate) || !may_flow_back(channel)) {
        return channel_refuse(number); // what a gate releases goes one way
    }
    if (state_of(channel->to)->status == TASK_STOPPED) {
        return ERR_PEER;
    }
    struct task_state *caller = state_of(from);
    caller->buffer = buffer;
    caller->length = length;
    caller->done = capacity;
    channel_of(number)->count = 1;
    wait_until(from, WAIT_REPLY, NEVER);
    call_deliver(number);
    return CALL_WAITS;
}

int32_t call_take(uint8_t to, uint32_t number, uint32_t buffer, uint32_t capacity) {
    const struct task_state *caller = state_of(coffret_channels[number].from);
    if (caller->length > capacity) {
        return ERR_SIZE; // it stays
    }
    memcpy((void *)buffer, (const void *)caller->buffer, caller->length);
    channel_of(number)->count = 0;
    channel_of(number)->owed = 1;
    if (task_of(to)->flags & TASK_SUMMONED) {
        state_of(to)->served = (uint8_t)(number + 1u);
    }
    return (int32_t)caller->length;
}

void call_deliver(uint32_t number) {
    uint8_t to = coffret_channels[number].to;
    struct task_state *receiver = state_of(to);
    if (receiver->wait == WAIT_ANSWER && receiver->channels == 1u << number) {
        int32_t length = call_take(to, number, receiver->buffer, receiver->length);
        finish_wait(to, WAIT_ANSWER, length);
    } else {
        channel_notify(number);
    }
}

int32_t call_reply(uint8_t to, uint32_t number, uint32_t reply, uint32_t length) {
    if (!is_call(number) || coffret_channels[number].to != to) {
        return ERR_DENIED;
    }
    const struct channel *channel = &coffret_channels[number];
    if (!channel_of(number)->owed) {
        return ERR_NOT_FOUND; // nobody asked, or it has been answered
    }
    const struct task_state *caller = state_of(channel->from);
    if (length > channel->reply_max || length > caller->done) {
        return ERR_SIZE;
    }
    if (!may_read(task_of(to), reply, length)) {
        return ERR_POINTER;
    }
    memcpy((void *)caller->buffer, (const void *)reply, length);
    channel_of(number)->owed = 0;
    finish_wait(channel->from, WAIT_REPLY, (int32_t)length);
    return 0;
}

int32_t call_answer(uint8_t to, uint32_t number, uint32_t buffer, uint32_t lengths) {
    if (!is_call(number) || coffret_channels[number].to != to) {
        return ERR_DENIED;
    }
    uint32_t length = lengths & 0xFFFFu, capacity = lengths >> 16;
    if (!is_own_memory(task_of(to), buffer, capacity)) {
        return ERR_POINTER;
    }
    if (length != NO_REPLY) {
        int32_t result = call_reply(to, number, buffer, length);
        if (result != 0) {
            return result;
        }
    }
    struct task_state *state = state_of(to);
    if (worker_is_done(to) || (channel_of(number)->count == 0 && (task_of(to)->flags & TASK_WORKER) != 0)) {
        task_end(to, END_EXIT, 0, 0);
        return CALL_WAITS;
    }
    if (channel_of(number)->count != 0) {
        return call_take(to, number, buffer, capacity);
    }
    state->buffer = buffer;
    state->length = capacity;
    state->channels = 1u << number;
    wait_until(to, WAIT_ANSWER, NEVER);
    return CALL_WAITS;
}

void calls_forget(uint8_t task, bool for_ever) {
    for (uint32_t number = 0; number < coffret_counts.channels; number++) {
        struct channel_state *state = channel_of(number);
        if (!is_call(number)) {
            continue;
        }
        if (coffret_channels[number].from == task) { // a watchdog ends callers too: their buffers are no more
            state->owed = 0;
            state->count = 0;
        }
        if (coffret_channels[number].to != task) {
            continue;
        }
        // A request that nobody has taken waits for the next life, if there is one.
        if (state->owed || (for_ever && state->count != 0)) {
            state->owed = 0;
            state->count = 0;
            finish_wait(coffret_channels[number].from, WAIT_REPLY, ERR_PEER);
        }
    }
}
