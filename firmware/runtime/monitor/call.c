// SPDX-License-Identifier: Apache-2.0
// Calls: a request and its reply, copied from one enclave's memory into the other's while the caller waits. Both
// ways must be legal, for the reply, its length and the end of the peer all flow back. A call has no queue: each
// such channel has one caller, who waits, and whose buffer holds the request until somebody takes it.
#include "monitor.h"

#include "label.h"

static struct channel_state *channel_of(uint32_t number) {
    return &coffret_channel_states[number];
}

static bool is_call(uint32_t number) {
    return number < coffret_counts.channels && coffret_channels[number].kind == CHANNEL_CALL;
}

// Both ways are legal without a gate exactly if the labels are the same.
static bool may_flow_both_ways(const struct channel *channel) {
    const struct task *from = task_of(channel->from), *to = task_of(channel->to);
    return labels_are_equal(&from->secrecy, &to->secrecy) && labels_are_equal(&from->integrity, &to->integrity);
}

int32_t call_make(uint8_t from, uint32_t number, uint32_t buffer, uint32_t lengths) {
    if (!is_call(number) || coffret_channels[number].from != from || is_to_sink(&coffret_channels[number])) {
        return ERR_DENIED;
    }
    const struct channel *channel = &coffret_channels[number];
    uint32_t length = lengths & 0xFFFFu, capacity = lengths >> 16;
    if (length < channel->min_size || length > channel->max_size) {
        return ERR_SIZE;
    }
    if (!is_own_memory(current_state()->task, buffer, length > capacity ? length : capacity)) {
        return ERR_POINTER;
    }
    if (channel->gate != CHANNEL_NO_GATE || !may_flow_both_ways(channel)) {
        return channel_refuse(number); // what a gate releases goes one way
    }
    if (state_of(channel->to)->status == TASK_STOPPED) {
        return ERR_PEER;
    }
    struct task_state *caller = current_state();
    caller->buffer = buffer;
    caller->length = length;
    caller->done = capacity;
    channel_of(number)->count = 1;
    wait_for_ever(WAIT_REPLY);
    call_deliver(number);
    return CALL_WAITS;
}

static inline __attribute__((always_inline)) int32_t take(uint8_t to, uint32_t number, uint32_t buffer, uint32_t capacity) {
    const struct task_state *caller = state_of(coffret_channels[number].from);
    if (caller->length > capacity) {
        return ERR_SIZE; // it stays
    }
    copy_bytes(buffer, caller->buffer, caller->length);
    channel_of(number)->count = 0;
    channel_of(number)->owed = 1;
    if (is_worker(task_of(to))) {
        state_of(to)->served = (uint8_t)(number + 1u);
    }
    return (int32_t)caller->length;
}

int32_t call_take(uint8_t to, uint32_t number, uint32_t buffer, uint32_t capacity) {
    return take(to, number, buffer, capacity);
}

void call_deliver(uint32_t number) {
    uint8_t to = coffret_channels[number].to;
    struct task_state *receiver = state_of(to);
    if (receiver->wait == WAIT_ANSWER && receiver->channels == 1u << number) {
        end_wait(to, take(to, number, receiver->buffer, receiver->length));
    } else {
        channel_notify(number);
    }
}

// The reply's memory has been checked.
static int32_t give_reply(uint32_t number, uint32_t reply, uint32_t length) {
    const struct channel *channel = &coffret_channels[number];
    if (!channel_of(number)->owed) {
        return ERR_NOT_FOUND; // nobody asked, or it has been answered
    }
    const struct task_state *caller = state_of(channel->from);
    if (length > channel->reply_max || length > caller->done) {
        return ERR_SIZE;
    }
    copy_bytes(caller->buffer, reply, length);
    channel_of(number)->owed = 0;
    end_wait(channel->from, (int32_t)length); // whom one owes waits: calls_forget clears the debt of one that has ended
    return 0;
}

int32_t call_reply(uint8_t to, uint32_t number, uint32_t reply, uint32_t length) {
    if (!is_call(number) || coffret_channels[number].to != to) {
        return ERR_DENIED;
    }
    return may_read(task_of(to), reply, length) ? give_reply(number, reply, length) : ERR_POINTER;
}

int32_t call_answer(uint8_t to, uint32_t number, uint32_t buffer, uint32_t lengths) {
    if (!is_call(number) || coffret_channels[number].to != to) {
        return ERR_DENIED;
    }
    uint32_t length = lengths & 0xFFFFu, capacity = lengths >> 16;
    uint32_t used = length != NO_REPLY && length > capacity ? length : capacity;
    const struct task *task = current_state()->task;
    if (!is_own_memory(task, buffer, used)) {
        return ERR_POINTER;
    }
    if (length != NO_REPLY) {
        int32_t result = give_reply(number, buffer, length);
        if (result != 0) {
            return result;
        }
    }
    bool waits = channel_of(number)->count != 0;
    if (is_worker(task) && (!waits || worker_is_done(to))) {
        task_end(to, END_EXIT, 0, 0);
        return CALL_WAITS;
    }
    if (waits) {
        return call_take(to, number, buffer, capacity);
    }
    struct task_state *state = current_state();
    state->buffer = buffer;
    state->length = capacity;
    state->channels = 1u << number;
    wait_for_ever(WAIT_ANSWER);
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
