// SPDX-License-Identifier: Apache-2.0
// A gate's budget: so many bytes a message, so many messages a window of time, every one of them counted and
// logged. A window begins with its first attempt; what was used is forgotten at a reset.
#include "monitor.h"

#define US_PER_S 1000000u

int32_t gate_admit(uint8_t number, uint32_t length) {
    const struct gate *gate = &coffret_gates[number];
    struct gate_state *state = &coffret_gate_states[number];
    if (length > gate->max_bytes) {
        return ERR_SIZE;
    }
    if (monitor_now() >= state->window_end) { // a new window begins with its first attempt
        state->window_end = monitor_now() + (uint64_t)gate->window_s * US_PER_S;
        state->used = 0;
        state->refused = 0;
    }
    if (state->used < gate->budget) {
        return 0;
    }
    if (!state->refused) {
        // Once a window: the log is open to all, and how often one tries is the enclave's own doing.
        state->refused = 1;
        log_event("gate budget used up", gate->name);
    }
    return ERR_BUDGET;
}

void gate_count(uint8_t number) {
    struct gate_state *state = &coffret_gate_states[number];
    state->used++;
    state->released++;
    log_event("released", coffret_gates[number].name);
}
