// SPDX-License-Identifier: Apache-2.0
// Exceptions: which comes next, entry and return (Arm DDI 0419, section B1.5).
#include "core.h"

#define FRAME_SIZE 32u
#define XPSR_ALIGNED (1u << 9)      // a word was left out so that the frame is aligned to eight bytes
#define LOWEST 4                    // below every priority that can be set

bool is_privileged(const struct core *core) { return core->exception != 0u || !core->unprivileged; }

void use_stack(struct core *core, bool process) {
    if (core->process_stack != process) {
        uint32_t other = core->other_stack;
        core->other_stack = core->r[13];
        core->r[13] = other;
        core->process_stack = process;
    }
}

static int priority_of(const struct core *core, uint32_t number) {
    return number == EXCEPTION_HARD ? -1 : number == EXCEPTION_NMI ? -2 : core->priority[number];
}

int execution_priority(const struct core *core, bool with_primask) {
    int priority = with_primask && core->primask ? 0 : LOWEST;
    for (uint64_t active = core->active; active != 0u; active &= active - 1u) {
        int one = priority_of(core, (uint32_t)__builtin_ctzll(active));
        priority = one < priority ? one : priority;
    }
    return priority;
}

uint32_t next_exception(const struct core *core, bool with_primask) {
    uint64_t interrupts = (core->pending >> 16 | core->lines) & core->enabled;
    uint64_t waiting = (core->pending & 0xFFFFu) | interrupts << 16;
    uint32_t best = EXCEPTION_NONE;
    int best_priority = LOWEST;
    for (; waiting != 0u; waiting &= waiting - 1u) {
        uint32_t number = (uint32_t)__builtin_ctzll(waiting);
        int priority = priority_of(core, number);
        if (priority < best_priority) { // of equals the first number wins
            best = number;
            best_priority = priority;
        }
    }
    return best_priority < execution_priority(core, with_primask) ? best : EXCEPTION_NONE;
}

uint32_t status(const struct core *core) {
    uint32_t flags = (uint32_t)core->n << 31 | (uint32_t)core->z << 30 | (uint32_t)core->c << 29 | (uint32_t)core->v << 28;
    return flags | (core->thumb ? XPSR_THUMB : 0u) | core->exception;
}

// False when the stack cannot take it.
static bool push_frame(struct core *core) {
    bool privileged = is_privileged(core);
    bool aligned = (core->r[13] & 4u) != 0u;
    uint32_t at = (core->r[13] - FRAME_SIZE) & ~7u;
    core->r[13] = at;
    const uint32_t words[8] = {core->r[0],  core->r[1],  core->r[2],  core->r[3],
                               core->r[12], core->r[14], core->r[15], status(core) | (aligned ? XPSR_ALIGNED : 0u)};
    bool pushed = true;
    for (uint32_t i = 0; i < 8u; i++) {
        pushed &= store_as(core, at + 4u * i, 4u, privileged, words[i]);
    }
    core->faulted = false;
    return pushed;
}

void enter_exception(struct core *core, uint32_t number) {
    uint32_t how = core->exception != 0u ? 0xFFFFFFF1u : core->process_stack ? 0xFFFFFFFDu : 0xFFFFFFF9u;
    if (!push_frame(core) && number != EXCEPTION_HARD) {
        number = EXCEPTION_HARD; // what was to be served goes on waiting
    }
    if (number < 16u || (core->lines >> (number - 16u) & 1u) == 0u) {
        core->pending &= ~(1ull << number);
    }
    core->faults += number == EXCEPTION_HARD;
    core->active |= 1ull << number;
    core->exception = number;
    use_stack(core, false);
    core->r[14] = how;
    core->event = true;
    core->sleeping = false;
    core->cycles += 15u;
    uint32_t handler;
    if (!load_as(core, core->vector_table + 4u * number, 4u, true, &handler)) {
        core->locked = true;
        return;
    }
    core->thumb = (handler & 1u) != 0u;
    core->r[15] = handler & ~1u;
}

void leave_exception(struct core *core, uint32_t how) {
    uint32_t kind = how & 15u;
    core->active &= ~(1ull << core->exception);
    if ((how | 15u) != 0xFFFFFFFFu || (kind != 1u && kind != 9u && kind != 13u) || (kind == 1u) != (core->active != 0u)) {
        core->faulted = true;
        return;
    }
    bool process = kind == 13u;
    bool privileged = kind == 1u || !core->unprivileged;
    if (process) {
        use_stack(core, true);
    }
    uint32_t at = core->r[13];
    uint32_t words[8];
    bool popped = true;
    for (uint32_t i = 0; i < 8u; i++) {
        popped &= load_as(core, at + 4u * i, 4u, privileged, &words[i]);
    }
    core->exception = words[7] & 63u;
    core->event = true;
    core->cycles += 12u;
    if (!popped || (core->exception == 0u) != (kind != 1u)) {
        core->exception = 0u;
        core->faulted = true;
        return;
    }
    core->r[13] = (at + FRAME_SIZE) | ((words[7] & XPSR_ALIGNED) != 0u ? 4u : 0u);
    for (uint32_t i = 0; i < 4u; i++) {
        core->r[i] = words[i];
    }
    core->r[12] = words[4];
    core->r[14] = words[5];
    core->r[15] = words[6] & ~1u;
    core->n = (words[7] >> 31 & 1u) != 0u;
    core->z = (words[7] >> 30 & 1u) != 0u;
    core->c = (words[7] >> 29 & 1u) != 0u;
    core->v = (words[7] >> 28 & 1u) != 0u;
    core->thumb = (words[7] & XPSR_THUMB) != 0u;
}
