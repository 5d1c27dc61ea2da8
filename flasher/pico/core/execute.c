// SPDX-License-Identifier: Apache-2.0
// The Armv6-M instructions (Arm DDI 0419, section A5 and A6). Cycles are the Cortex-M0+'s (DDI 0484, table 3-1), without
// wait states of the flash.
#include "core.h"

#define SP 13u
#define LR 14u
#define PC 15u

// Bits `low`.. of an instruction, `count` of them.
static uint32_t bits(uint32_t instruction, uint32_t low, uint32_t count) { return instruction >> low & ((1u << count) - 1u); }

static uint32_t sign_extend(uint32_t value, uint32_t count) {
    uint32_t sign = 1u << (count - 1u);
    return (value ^ sign) - sign;
}

static void undefined(struct core *core) { core->faulted = true; }

// What an instruction sees as the program counter: its own address and four.
static uint32_t pc_of(const struct core *core) { return core->r[PC] + 2u; }

static uint32_t read_register(const struct core *core, uint32_t number) {
    return number == PC ? pc_of(core) : core->r[number];
}

static void branch(struct core *core, uint32_t target) {
    core->r[PC] = target & ~1u;
    core->cycles += 1u;
}

// BX, BLX, POP: the lowest bit chooses the instruction set, of which there is one; in a handler F.... leaves it.
static void branch_exchange(struct core *core, uint32_t target) {
    if (core->exception != 0u && target >> 28 == 15u) {
        leave_exception(core, target);
        return;
    }
    core->thumb = (target & 1u) != 0u;
    branch(core, target);
}

static uint32_t set_nz(struct core *core, uint32_t result) {
    core->n = result >> 31 != 0u;
    core->z = result == 0u;
    return result;
}

static uint32_t add(struct core *core, uint32_t a, uint32_t b, uint32_t carry) {
    uint64_t wide = (uint64_t)a + b + carry;
    uint32_t result = (uint32_t)wide;
    core->c = wide >> 32 != 0u;
    core->v = (~(a ^ b) & (a ^ result)) >> 31 != 0u;
    return set_nz(core, result);
}

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

static void shift_add_subtract(struct core *core, uint32_t op) {
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

static void immediate(struct core *core, uint32_t op) {
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

static void data_processing(struct core *core, uint32_t op) {
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

// ---- 010001: all registers; branches by register ----

static void special_data(struct core *core, uint32_t op) {
    uint32_t to = bits(op, 0, 3) | bits(op, 7, 1) << 3;
    uint32_t value = read_register(core, bits(op, 3, 4));
    switch (bits(op, 8, 2)) {
        case 0: value += read_register(core, to); break;
        case 1: (void)add(core, read_register(core, to), ~value, 1u); return;
        case 2: break;
        default:
            if (bits(op, 0, 3) != 0u) {
                undefined(core);
                return;
            }
            if (bits(op, 7, 1) != 0u) {
                core->r[LR] = core->r[PC] | 1u;
            }
            branch_exchange(core, value);
            return;
    }
    if (to == PC) {
        branch(core, value);
    } else {
        core->r[to] = to == SP ? value & ~3u : value;
    }
}

// ---- loads and stores ----

static void load_register(struct core *core, uint32_t to, uint32_t address, uint32_t size, uint32_t sign_bits) {
    uint32_t value;
    core->cycles++;
    if (load(core, address, size, &value)) {
        core->r[to] = sign_bits != 0u ? sign_extend(value, sign_bits) : value;
    }
}

static void store_register(struct core *core, uint32_t from, uint32_t address, uint32_t size) {
    core->cycles++;
    (void)store(core, address, size, core->r[from]);
}

static void load_store_by_register(struct core *core, uint32_t op) {
    uint32_t t = bits(op, 0, 3);
    uint32_t address = core->r[bits(op, 3, 3)] + core->r[bits(op, 6, 3)];
    switch (bits(op, 9, 3)) {
        case 0: store_register(core, t, address, 4u); break;
        case 1: store_register(core, t, address, 2u); break;
        case 2: store_register(core, t, address, 1u); break;
        case 3: load_register(core, t, address, 1u, 8u); break;
        case 4: load_register(core, t, address, 4u, 0u); break;
        case 5: load_register(core, t, address, 2u, 0u); break;
        case 6: load_register(core, t, address, 1u, 0u); break;
        default: load_register(core, t, address, 2u, 16u);
    }
}

// 0110 word, 0111 byte, 1000 half, by base and offset; 1001 by stack pointer. The next bit says load.
static void load_store_by_offset(struct core *core, uint32_t op) {
    uint32_t kind = bits(op, 12, 4);
    bool loads = bits(op, 11, 1) != 0u;
    uint32_t t = bits(op, 0, 3);
    uint32_t offset = bits(op, 6, 5);
    uint32_t size = kind == 7u ? 1u : kind == 8u ? 2u : 4u;
    uint32_t address = core->r[bits(op, 3, 3)] + offset * size;
    if (kind == 9u) {
        t = bits(op, 8, 3);
        address = core->r[SP] + 4u * bits(op, 0, 8);
    }
    if (loads) {
        load_register(core, t, address, size, 0u);
    } else {
        store_register(core, t, address, size);
    }
}

// The lowest register at the lowest address. A fault in the middle leaves the base as it was.
static bool load_many(struct core *core, uint32_t list, uint32_t *address) {
    for (; list != 0u; list &= list - 1u) {
        uint32_t value;
        core->cycles++;
        if (!load(core, *address, 4u, &value)) {
            return false;
        }
        core->r[__builtin_ctz(list)] = value;
        *address += 4u;
    }
    return true;
}

static bool store_many(struct core *core, uint32_t list, uint32_t *address) {
    for (; list != 0u; list &= list - 1u) {
        core->cycles++;
        if (!store(core, *address, 4u, core->r[__builtin_ctz(list)])) {
            return false;
        }
        *address += 4u;
    }
    return true;
}

static void load_store_multiple(struct core *core, uint32_t op) {
    uint32_t base = bits(op, 8, 3);
    uint32_t list = bits(op, 0, 8);
    uint32_t address = core->r[base];
    if (list == 0u) {
        undefined(core);
        return;
    }
    if (bits(op, 11, 1) == 0u) {
        if (store_many(core, list, &address)) {
            core->r[base] = address;
        }
        return;
    }
    uint32_t old = core->r[base];
    if (!load_many(core, list, &address)) {
        core->r[base] = old; // the instruction can be started again
    } else if ((list >> base & 1u) == 0u) {
        core->r[base] = address;
    }
}

static void push(struct core *core, uint32_t op) {
    uint32_t list = bits(op, 0, 8) | bits(op, 8, 1) << LR;
    uint32_t bottom = core->r[SP] - 4u * (uint32_t)__builtin_popcount(list);
    uint32_t address = bottom;
    if (store_many(core, list, &address)) {
        core->r[SP] = bottom;
    }
}

static void pop(struct core *core, uint32_t op) {
    uint32_t address = core->r[SP];
    uint32_t target = 0;
    if (!load_many(core, bits(op, 0, 8), &address)) {
        return;
    }
    if (bits(op, 8, 1) != 0u) {
        if (!load(core, address, 4u, &target)) {
            return;
        }
        core->r[SP] = address + 4u;
        core->cycles += 2u;
        branch_exchange(core, target);
        return;
    }
    core->r[SP] = address;
}

// ---- 1011: miscellaneous ----

static void extend_or_reverse(struct core *core, uint32_t op) {
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

static void hint(struct core *core, uint32_t op) {
    uint32_t which = bits(op, 4, 4);
    if (bits(op, 0, 4) != 0u) {
        undefined(core); // IT
    } else if (which == 2u) {
        core->sleeping = !core->event; // WFE
        core->event = false;
    } else if (which == 3u) {
        core->sleeping = true; // WFI
    } else if (which == 4u) {
        core->event = true; // SEV
    }
}

static void miscellaneous(struct core *core, uint32_t op) {
    uint32_t kind = bits(op, 8, 4);
    if (kind == 0u) {
        uint32_t amount = 4u * bits(op, 0, 7);
        core->r[SP] += bits(op, 7, 1) != 0u ? 0u - amount : amount;
    } else if (kind == 2u || kind == 10u) {
        extend_or_reverse(core, op);
    } else if (kind == 4u || kind == 5u) {
        push(core, op);
    } else if (kind == 12u || kind == 13u) {
        pop(core, op);
    } else if ((op & 0xFFEFu) == 0xB662u) {
        core->primask = is_privileged(core) ? bits(op, 4, 1) != 0u : core->primask; // CPS
    } else if (kind == 15u) {
        hint(core, op);
    } else if (kind == 14u && core->debugged != 0u) {
        core->halted = 1u; // BKPT; it has not been executed yet
        core->r[PC] -= 2u;
    } else {
        undefined(core);
    }
}

// ---- 1101: conditional branch, SVC ----

static bool condition(const struct core *core, uint32_t which) {
    bool holds;
    switch (which >> 1) {
        case 0: holds = core->z; break;
        case 1: holds = core->c; break;
        case 2: holds = core->n; break;
        case 3: holds = core->v; break;
        case 4: holds = core->c && !core->z; break;
        case 5: holds = core->n == core->v; break;
        default: holds = core->n == core->v && !core->z;
    }
    return holds != ((which & 1u) != 0u);
}

static void branch_or_call(struct core *core, uint32_t op) {
    uint32_t which = bits(op, 8, 4);
    if (which == 15u) {
        // A call that cannot be taken at once is a fault (section B1.5.7).
        if (core->priority[EXCEPTION_CALL] >= execution_priority(core, true)) {
            core->faulted = true;
        } else {
            core->pending |= 1ull << EXCEPTION_CALL;
        }
    } else if (which == 14u) {
        undefined(core);
    } else if (condition(core, which)) {
        branch(core, pc_of(core) + (sign_extend(bits(op, 0, 8), 8u) << 1));
    }
}

// ---- 32 bits: BL, barriers, MRS, MSR ----

static uint32_t read_special(const struct core *core, uint32_t which) {
    uint32_t flags = (uint32_t)core->n << 31 | (uint32_t)core->z << 30 | (uint32_t)core->c << 29 | (uint32_t)core->v << 28;
    if (which < 8u) {
        // Bit 0 adds IPSR, bit 2 leaves the flags out; EPSR reads as zero.
        return ((which & 4u) == 0u ? flags : 0u) | ((which & 1u) != 0u ? core->exception : 0u);
    }
    if (which == 20u) {
        return (uint32_t)core->unprivileged | (uint32_t)core->process_stack << 1;
    }
    if (!is_privileged(core)) {
        return 0u;
    }
    switch (which) {
        case 8: return core->process_stack ? core->other_stack : core->r[SP];
        case 9: return core->process_stack ? core->r[SP] : core->other_stack;
        case 16: return core->primask;
        default: return 0u;
    }
}

static void write_special(struct core *core, uint32_t which, uint32_t value) {
    if (which < 4u) {
        core->n = value >> 31 != 0u;
        core->z = (value >> 30 & 1u) != 0u;
        core->c = (value >> 29 & 1u) != 0u;
        core->v = (value >> 28 & 1u) != 0u;
        return;
    }
    if (!is_privileged(core)) {
        return;
    }
    switch (which) {
        case 8: *(core->process_stack ? &core->other_stack : &core->r[SP]) = value & ~3u; break;
        case 9: *(core->process_stack ? &core->r[SP] : &core->other_stack) = value & ~3u; break;
        case 16: core->primask = (value & 1u) != 0u; break;
        case 20:
            core->unprivileged = (value & 1u) != 0u;
            if (core->exception == 0u) {
                use_stack(core, (value & 2u) != 0u);
            }
            break;
        default: break;
    }
}

static void wide(struct core *core, uint32_t op) {
    uint32_t second;
    uint32_t at = core->r[PC];
    if (!fetch(core, at, &second)) {
        return;
    }
    core->r[PC] = at + 2u;
    core->cycles += 2u;
    if (op >> 11 == 30u && (second & 0xD000u) == 0xD000u) { // BL
        uint32_t s = bits(op, 10, 1);
        uint32_t i1 = (bits(second, 13, 1) ^ s) ^ 1u;
        uint32_t i2 = (bits(second, 11, 1) ^ s) ^ 1u;
        uint32_t offset = s << 24 | i1 << 23 | i2 << 22 | bits(op, 0, 10) << 12 | bits(second, 0, 11) << 1;
        core->r[LR] = core->r[PC] | 1u;
        core->r[PC] += sign_extend(offset, 25u);
    } else if ((op & 0xFFF0u) == 0xF380u && (second & 0xFF00u) == 0x8800u && (op & 15u) < SP) {
        write_special(core, second & 0xFFu, core->r[op & 15u]);
    } else if (op == 0xF3EFu && (second & 0xF000u) == 0x8000u && bits(second, 8, 4) < SP) {
        core->r[bits(second, 8, 4)] = read_special(core, second & 0xFFu);
    } else if (op != 0xF3BFu || (second & 0xFFC0u) != 0x8F40u || (second & 0x30u) == 0x30u) { // DSB, DMB, ISB
        undefined(core);
    }
}

void execute(struct core *core, uint32_t op) {
    switch (op >> 12) {
        case 0: case 1: shift_add_subtract(core, op); break;
        case 2: case 3: immediate(core, op); break;
        case 4:
            if (bits(op, 11, 1) != 0u) {
                load_register(core, bits(op, 8, 3), (pc_of(core) & ~3u) + 4u * bits(op, 0, 8), 4u, 0u);
            } else if (bits(op, 10, 1) != 0u) {
                special_data(core, op);
            } else {
                data_processing(core, op);
            }
            break;
        case 5: load_store_by_register(core, op); break;
        case 6: case 7: case 8: case 9: load_store_by_offset(core, op); break;
        case 10:
            core->r[bits(op, 8, 3)] = (bits(op, 11, 1) != 0u ? core->r[SP] : pc_of(core) & ~3u) + 4u * bits(op, 0, 8);
            break;
        case 11: miscellaneous(core, op); break;
        case 12: load_store_multiple(core, op); break;
        case 13: branch_or_call(core, op); break;
        case 14:
            if (bits(op, 11, 1) != 0u) {
                undefined(core);
            } else {
                branch(core, pc_of(core) + (sign_extend(bits(op, 0, 11), 11u) << 1));
            }
            break;
        default: wide(core, op);
    }
}
