// SPDX-License-Identifier: Apache-2.0
// How a request for evidence passes from the manager, who speaks with the world, to the attester, who holds the
// key, and back: one request at a time, copied by the monitor, so that neither sees the other's memory.
#include "monitor.h"

#include <string.h>

#define NONCE_MAX 64u

static struct {
    uint8_t nonce[NONCE_MAX];
    uint32_t nonce_length;      // 0: no request
    uint32_t reply;             // where the asker wants it: checked
    uint32_t capacity;
    uint32_t written;           // bytes of the reply so far
    uint8_t asker;
    uint8_t subject;            // 1 + number of the enclave in question, 0: none
    uint8_t taken;              // the attester has the nonce
} pending MONITOR_BSS;

static void hand_over(uint32_t to) {
    memcpy((void *)to, pending.nonce, pending.nonce_length);
    pending.taken = 1;
}

static int32_t offered(void) {
    return (int32_t)(pending.nonce_length | (uint32_t)pending.subject << 8);
}

static int32_t offer(void) {
    for (uint8_t task = 0; task < coffret_counts.tasks; task++) {
        const struct task_state *state = state_of(task);
        if (state->status == TASK_WAITING && state->wait == WAIT_REQUEST) {
            hand_over(state->buffer);
            finish_wait(task, WAIT_REQUEST, offered());
            break;
        }
    }
    return CALL_WAITS;
}

RARE int32_t evidence_request(uint8_t task, uint32_t address) {
    struct evidence_request request;
    if (!may_read(task_of(task), address, sizeof request)) {
        return ERR_POINTER;
    }
    memcpy(&request, (const void *)address, sizeof request);
    uint32_t nonce = (uint32_t)request.nonce, reply = (uint32_t)request.reply;
    if (request.nonce_length != 32u && request.nonce_length != 48u && request.nonce_length != 64u) {
        return ERR_SIZE;
    }
    bool pairwise = COFFRET_HAS_PAIRWISE && request.nonce_length == NONCE_MAX &&
                    (request.subject == EVIDENCE_ENROL || request.subject == EVIDENCE_PAIRWISE);
    if (request.subject > coffret_counts.enclaves && !pairwise) {
        return ERR_NOT_FOUND;
    }
    if (!may_read(task_of(task), nonce, request.nonce_length) || !may_write(task_of(task), reply, request.capacity)) {
        return ERR_POINTER;
    }
    if (pending.nonce_length != 0) {
        return ERR_BUSY;
    }
    memcpy(pending.nonce, (const void *)nonce, request.nonce_length);
    pending.nonce_length = request.nonce_length;
    pending.reply = reply;
    pending.capacity = request.capacity;
    pending.written = 0;
    pending.asker = task;
    pending.subject = (uint8_t)request.subject;
    pending.taken = 0;
    wait_for_ever(WAIT_EVIDENCE);
    return offer();
}

int32_t evidence_next(uint8_t task, uint32_t nonce, uint32_t capacity) {
    if (capacity < NONCE_MAX) {
        return ERR_SIZE;
    }
    if (!may_write(task_of(task), nonce, capacity)) {
        return ERR_POINTER;
    }
    if (pending.nonce_length != 0 && !pending.taken) {
        hand_over(nonce);
        return offered();
    }
    state_of(task)->buffer = nonce;
    wait_for_ever(WAIT_REQUEST);
    return CALL_WAITS;
}

static void answer(int32_t result) {
    uint8_t asker = pending.asker;
    pending.nonce_length = 0;
    finish_wait(asker, WAIT_EVIDENCE, result);
}

int32_t evidence_done(uint8_t task, uint32_t piece, uint32_t length, uint32_t end) {
    if (!may_read(task_of(task), piece, length)) {
        return ERR_POINTER;
    }
    if (pending.nonce_length == 0 || !pending.taken) {
        return ERR_NOT_FOUND; // the asker has ended meanwhile
    }
    if (length > pending.capacity - pending.written) {
        answer(ERR_SIZE);
        return ERR_SIZE;
    }
    memcpy((void *)(pending.reply + pending.written), (const void *)piece, length);
    pending.written += length;
    if (end == EVIDENCE_COMPLETE) {
        answer((int32_t)pending.written);
    } else if (end != EVIDENCE_MORE) {
        answer(ERR_NOT_FOUND);
    }
    return 0;
}

void evidence_forget(uint8_t task) {
    if (pending.nonce_length == 0) {
        return;
    }
    if (pending.asker == task) {
        pending.nonce_length = 0; // it does not wait any more: its state says so already or will
    } else if (pending.taken && (task_of(task)->calls & 1u << SYS_EVIDENCE_DONE) != 0) {
        answer(ERR_NOT_FOUND);
    }
}

RARE int32_t evidence_identity(uint8_t task, uint32_t to) {
    if (!may_write(task_of(task), to, sizeof __handoff.identity)) {
        return ERR_POINTER;
    }
    memcpy((void *)to, &__handoff.identity, sizeof __handoff.identity);
    return 0;
}
