// SPDX-License-Identifier: Apache-2.0
// Loads, stores, push and pop (Arm DDI 0419, sections A5.2.4 and A6).
#include "instruction.h"

void load_register(struct core *core, uint32_t to, uint32_t address, uint32_t size, uint32_t sign_bits) {
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

void load_store_by_register(struct core *core, uint32_t op) {
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
void load_store_by_offset(struct core *core, uint32_t op) {
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

void load_store_multiple(struct core *core, uint32_t op) {
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

void push(struct core *core, uint32_t op) {
    uint32_t list = bits(op, 0, 8) | bits(op, 8, 1) << LR;
    uint32_t bottom = core->r[SP] - 4u * (uint32_t)__builtin_popcount(list);
    uint32_t address = bottom;
    if (store_many(core, list, &address)) {
        core->r[SP] = bottom;
    }
}

void pop(struct core *core, uint32_t op) {
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
