// SPDX-License-Identifier: Apache-2.0
// What the instructions of execute.c, arithmetic.c and transfer.c have in common.
#ifndef PICO_INSTRUCTION_H
#define PICO_INSTRUCTION_H

#include "core.h"

#define SP 13u
#define LR 14u
#define PC 15u

// Bits `low`.. of an instruction, `count` of them.
static inline uint32_t bits(uint32_t instruction, uint32_t low, uint32_t count) { return instruction >> low & ((1u << count) - 1u); }

static inline uint32_t sign_extend(uint32_t value, uint32_t count) {
    uint32_t sign = 1u << (count - 1u);
    return (value ^ sign) - sign;
}

static inline void undefined(struct core *core) { core->faulted = true; }

// What an instruction sees as the program counter: its own address and four.
static inline uint32_t pc_of(const struct core *core) { return core->r[PC] + 2u; }

static inline uint32_t read_register(const struct core *core, uint32_t number) {
    return number == PC ? pc_of(core) : core->r[number];
}

static inline void branch(struct core *core, uint32_t target) {
    core->r[PC] = target & ~1u;
    core->cycles += 1u;
}

static inline uint32_t set_nz(struct core *core, uint32_t result) {
    core->n = result >> 31 != 0u;
    core->z = result == 0u;
    return result;
}

static inline uint32_t add(struct core *core, uint32_t a, uint32_t b, uint32_t carry) {
    uint64_t wide = (uint64_t)a + b + carry;
    uint32_t result = (uint32_t)wide;
    core->c = wide >> 32 != 0u;
    core->v = (~(a ^ b) & (a ^ result)) >> 31 != 0u;
    return set_nz(core, result);
}

// ---- execute.c ----
// BX, BLX, POP: the lowest bit chooses the instruction set, of which there is one; in a handler F.... leaves it.
void branch_exchange(struct core *core, uint32_t target);

// ---- arithmetic.c, by the upper bits of the instruction ----
void shift_add_subtract(struct core *core, uint32_t op); // 000
void immediate(struct core *core, uint32_t op);          // 001: move, compare, add, subtract with eight bits
void data_processing(struct core *core, uint32_t op);    // 010000: between low registers
void extend_or_reverse(struct core *core, uint32_t op);  // 1011x010

// ---- transfer.c ----
void load_register(struct core *core, uint32_t to, uint32_t address, uint32_t size, uint32_t sign_bits);
void load_store_by_register(struct core *core, uint32_t op); // 0101
void load_store_by_offset(struct core *core, uint32_t op);   // 0110 word, 0111 byte, 1000 half; 1001 by stack pointer
void load_store_multiple(struct core *core, uint32_t op);    // 1100
void push(struct core *core, uint32_t op);                   // 1011010
void pop(struct core *core, uint32_t op);                    // 1011110

#endif
