// SPDX-License-Identifier: Apache-2.0
// Arithmetic, logic, shifts and extensions (Arm DDI 0419, sections A5.2.1, A5.2.2 and A6).
#include "instruction.h"

// ---- shifts; `by` 0 leaves the carry ----

static uint32_t shift_left(struct core *core, uint32_t value, uint32_t by) {
    if (by != 0u) {
        core->c = by <= 32u && (value >> (32u - by) & 1u) != 0u;
        value = by < 32u ? value << by : 0u;
    }
    return set_nz(core, value);
}

static uint32_t shift_right(struct core *core, uint32_t value, uint32_t by) {
    if (by != 0u) {
        core->c = by <= 32u && (value >> (by - 1u) & 1u) != 0u;
        value = by < 32u ? value >> by : 0u;
    }
    return set_nz(core, value);
}

static uint32_t shift_right_signed(struct core *core, uint32_t value, uint32_t by) {
    if (by != 0u) {
        uint32_t most = by < 32u ? by : 32u;
        core->c = (uint32_t)((int32_t)value >> (most - 1u)) & 1u;
        value = (uint32_t)((int32_t)value >> (most < 32u ? most : 31u));
    }
    return set_nz(core, value);
}

static uint32_t rotate_right(struct core *core, uint32_t value, uint32_t by) {
    if (by != 0u) {
        uint32_t turn = by % 32u;
        value = turn != 0u ? value >> turn | value << (32u - turn) : value;
        core->c = value >> 31 != 0u;
    }
    return set_nz(core, value);
}

// ---- 000: shift by a constant, add, subtract ----

void shift_add_subtract(struct core *core, uint32_t op) {
    uint32_t *to = &core->r[bits(op, 0, 3)];
    uint32_t from = core->r[bits(op, 3, 3)];
    uint32_t by = bits(op, 6, 5);
    uint32_t other = bits(op, 10, 1) != 0u ? bits(op, 6, 3) : core->r[bits(op, 6, 3)];
    switch (bits(op, 11, 2)) {
        case 0: *to = shift_left(core, from, by); break;
        case 1: *to = shift_right(core, from, by == 0u ? 32u : by); break;
        case 2: *to = shift_right_signed(core, from, by == 0u ? 32u : by); break;
        default: *to = bits(op, 9, 1) != 0u ? add(core, from, ~other, 1u) : add(core, from, other, 0u);
    }
}

// ---- 001: move, compare, add, subtract with eight bits ----

void immediate(struct core *core, uint32_t op) {
    uint32_t *to = &core->r[bits(op, 8, 3)];
    uint32_t value = bits(op, 0, 8);
    switch (bits(op, 11, 2)) {
        case 0: *to = set_nz(core, value); break;
        case 1: (void)add(core, *to, ~value, 1u); break;
        case 2: *to = add(core, *to, value, 0u); break;
        default: *to = add(core, *to, ~value, 1u);
    }
}

// ---- 010000: between low registers ----

void data_processing(struct core *core, uint32_t op) {
    uint32_t *to = &core->r[bits(op, 0, 3)];
    uint32_t by = core->r[bits(op, 3, 3)];
    switch (bits(op, 6, 4)) {
        case 0: *to = set_nz(core, *to & by); break;
        case 1: *to = set_nz(core, *to ^ by); break;
        case 2: *to = shift_left(core, *to, by & 0xFFu); break;
        case 3: *to = shift_right(core, *to, by & 0xFFu); break;
        case 4: *to = shift_right_signed(core, *to, by & 0xFFu); break;
        case 5: *to = add(core, *to, by, core->c); break;
        case 6: *to = add(core, *to, ~by, core->c); break;
        case 7: *to = rotate_right(core, *to, by & 0xFFu); break;
        case 8: (void)set_nz(core, *to & by); break;
        case 9: *to = add(core, ~by, 0u, 1u); break;
        case 10: (void)add(core, *to, ~by, 1u); break;
        case 11: (void)add(core, *to, by, 0u); break;
        case 12: *to = set_nz(core, *to | by); break;
        case 13: *to = set_nz(core, *to * by); break; // the RP2040's multiplier takes one cycle
        case 14: *to = set_nz(core, *to & ~by); break;
        default: *to = set_nz(core, ~by);
    }
}

// ---- 1011: extensions, bytes reversed ----

void extend_or_reverse(struct core *core, uint32_t op) {
    uint32_t *to = &core->r[bits(op, 0, 3)];
    uint32_t value = core->r[bits(op, 3, 3)];
    uint32_t swapped = __builtin_bswap32(value);
    switch (bits(op, 6, 6)) {
        case 0x08: *to = sign_extend(value & 0xFFFFu, 16u); break;
        case 0x09: *to = sign_extend(value & 0xFFu, 8u); break;
        case 0x0A: *to = value & 0xFFFFu; break;
        case 0x0B: *to = value & 0xFFu; break;
        case 0x28: *to = swapped; break;
        case 0x29: *to = swapped >> 16 | swapped << 16; break;
        case 0x2B: *to = sign_extend(swapped >> 16, 16u); break;
        default: undefined(core);
    }
}
