// SPDX-License-Identifier: Apache-2.0
// A gate's budget: so many bytes a message, so many messages a window of time, every one of them counted and
// logged. A window begins with its first attempt. Whoever reaches the management port can reset the board, so what
// was used of a window of an hour or more is kept in flash: only time with power on brings a new budget.
#include "monitor.h"

#include <string.h>

#include "coffret/store.h"
#include "label.h"

#define US_PER_S 1000000u
// Shorter windows begin anew at a reset: a record for each of their messages would wear the flash out.
#define KEPT_WINDOW_S 3600u
#define KEPT_GATES 16u          // the most gates of an appliance (firmware/planning/fit.py)

// By name, not by number: an update may number its gates otherwise.
struct kept_budget {
    uint32_t name;              // hash of the gate's name
    uint32_t used;
    uint64_t left_us;           // of the window, at its last message
};

_Static_assert(KEPT_GATES * sizeof(struct kept_budget) <= STORE_BUDGETS_MAX, "one record");

// FNV-1a, 32 bits (RFC 9923). Not against an attacker: names are fixed by the signed image.
static uint32_t hash_of(const char *name) {
    uint32_t hash = 0x811C9DC5u;
    while (*name != '\0') {
        hash = (hash ^ (uint8_t)*name++) * 0x01000193u;
    }
    return hash;
}

// When and how often a gate is used says something of all that its enclave sees. The log and evidence are open to all,
// so they tell of a gate only where it releases all of that.
static bool is_told(const struct gate *gate) {
    static const struct label nobodys = {{0}};
    return secrecy_may_flow(&task_of(gate->task)->secrecy, gate, &nobodys);
}

static void tell(const char *what, const struct gate *gate) {
    if (is_told(gate)) {
        log_release(what, gate->name);
    }
}

static bool is_kept(const struct gate *gate) {
    return gate->window_s >= KEPT_WINDOW_S;
}

RARE void gates_start(void) {
    struct kept_budget kept[KEPT_GATES];
    int32_t length = storage_get_budgets(kept, sizeof kept);
    for (uint32_t entry = 0; length > 0 && entry < (uint32_t)length / sizeof kept[0]; entry++) {
        for (uint8_t number = 0; number < coffret_counts.gates; number++) {
            const struct gate *gate = &coffret_gates[number];
            if (is_kept(gate) && hash_of(gate->name) == kept[entry].name) {
                coffret_gate_states[number].window_end = kept[entry].left_us;
                coffret_gate_states[number].used = kept[entry].used;
            }
        }
    }
}

RARE static void keep_budgets(void) {
    struct kept_budget kept[KEPT_GATES];
    uint32_t count = 0;
    for (uint8_t number = 0; number < coffret_counts.gates && count < KEPT_GATES; number++) {
        const struct gate_state *state = &coffret_gate_states[number];
        if (is_kept(&coffret_gates[number]) && state->window_end > monitor_now()) {
            kept[count].name = hash_of(coffret_gates[number].name);
            kept[count].used = state->used;
            kept[count].left_us = state->window_end - monitor_now();
            count++;
        }
    }
    if (storage_put_budgets(kept, count * sizeof kept[0]) != 0) {
        log_event("budgets not kept", ""); // the flash is at its end: a reset would forget this window
    }
}

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
        tell("gate budget used up", gate);
    }
    return ERR_BUDGET;
}

void gate_count(uint8_t number) {
    struct gate_state *state = &coffret_gate_states[number];
    state->used++;
    state->released++;
    if (is_kept(&coffret_gates[number])) {
        keep_budgets();
    }
    tell("released", &coffret_gates[number]);
}

RARE bool gate_tell(uint8_t number, struct gate_info *info) {
    const struct gate_state *state = &coffret_gate_states[number];
    if (!is_told(&coffret_gates[number])) {
        return false;
    }
    memset(info, 0, sizeof *info);
    info->task = coffret_gates[number].task;
    if (monitor_now() < state->window_end) {
        info->used = state->used;
        info->left_s = (uint32_t)((state->window_end - monitor_now()) / US_PER_S);
    }
    return true;
}
