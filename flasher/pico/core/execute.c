// SPDX-License-Identifier: Apache-2.0
// The Armv6-M instructions (Arm DDI 0419, section A5 and A6). Cycles are the Cortex-M0+'s (DDI 0484, table 3-1), without
// wait states of the flash.
#include "instruction.h"

void branch_exchange(struct core *core, uint32_t target) {
    if (core->exception != 0u && target >> 28 == 15u) {
        leave_exception(core, target);
        return;
    }
    core->thumb = (target & 1u) != 0u;
    branch(core, target);
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

// ---- 1011: miscellaneous ----

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
