// SPDX-License-Identifier: Apache-2.0
// The system control space: SysTick, NVIC, system control block, protection unit (Arm DDI 0419, section B3).
#include "core.h"

#define TICK_ENABLE 1u
#define TICK_INTERRUPT 2u
#define COUNTER_MASK 0xFFFFFFu

// A period is reload + 1 cycles; the flag and the interrupt come when the counter goes from 1 to 0.
void systick_advance(struct core *core) {
    if ((core->systick_control & TICK_ENABLE) == 0u || core->systick_reload == 0u) {
        return;
    }
    while (core->cycles >= core->systick_zero) {
        core->systick_zero += core->systick_reload + 1u;
        core->systick_flag = true;
        if ((core->systick_control & TICK_INTERRUPT) != 0u) {
            core->pending |= 1ull << EXCEPTION_TICK;
        }
    }
}

static uint32_t systick_counter(const struct core *core) {
    if ((core->systick_control & TICK_ENABLE) == 0u) {
        return 0u;
    }
    uint64_t left = core->systick_zero - core->cycles;
    return (uint32_t)(left > core->systick_reload ? 0u : left) & COUNTER_MASK;
}

static void systick_restart(struct core *core) { core->systick_zero = core->cycles + core->systick_reload + 1u; }

static uint32_t four_priorities(const struct core *core, uint32_t first) {
    uint32_t word = 0;
    for (uint32_t i = 0; i < 4u; i++) {
        word |= (uint32_t)core->priority[first + i] << (8u * i + 6u);
    }
    return word;
}

static void set_four_priorities(struct core *core, uint32_t first, uint32_t word) {
    for (uint32_t i = 0; i < 4u; i++) {
        core->priority[first + i] = (uint8_t)(word >> (8u * i + 6u) & 3u);
    }
}

static uint32_t interrupt_state(const struct core *core) {
    struct core unmasked = {.pending = core->pending, .lines = core->lines, .enabled = core->enabled};
    for (uint32_t i = 0; i < 48u; i++) {
        unmasked.priority[i] = core->priority[i];
    }
    uint32_t waiting = next_exception(&unmasked, false);
    uint32_t bits = core->exception | waiting << 12;
    bits |= (core->pending >> 16 | core->lines) != 0u ? 1u << 22 : 0u;
    bits |= (core->pending >> EXCEPTION_TICK & 1u) != 0u ? 1u << 26 : 0u;
    return bits | ((core->pending >> EXCEPTION_PENDSV & 1u) != 0u ? 1u << 28 : 0u);
}

bool system_load(struct core *core, uint32_t address, uint32_t *value) {
    uint32_t offset = address & 0xFFFu;
    if (offset >= 0x400u && offset < 0x420u) {
        *value = four_priorities(core, 16u + (offset - 0x400u));
        return true;
    }
    switch (offset) {
        case 0x010:
            systick_advance(core);
            *value = core->systick_control | (core->systick_flag ? 1u << 16 : 0u);
            core->systick_flag = false;
            return true;
        case 0x014: *value = core->systick_reload; return true;
        case 0x018:
            systick_advance(core);
            *value = systick_counter(core);
            return true;
        case 0x100: case 0x180: *value = core->enabled; return true;
        case 0x200: case 0x280: *value = (uint32_t)(core->pending >> 16) | core->lines; return true;
        case 0xD00: *value = 0x410CC601u; return true; // Cortex-M0+ r0p1
        case 0xD04: *value = interrupt_state(core); return true;
        case 0xD08: *value = core->vector_table; return true;
        case 0xD0C: *value = 0xFA050000u; return true;
        case 0xD10: case 0xD14: *value = offset == 0xD14u ? 0x208u : 0u; return true;
        case 0xD1C: *value = four_priorities(core, 8u); return true;
        case 0xD20: *value = four_priorities(core, 12u); return true;
        case 0xD90: *value = REGION_COUNT << 8; return true;
        case 0xD94: *value = core->mpu_control; return true;
        case 0xD98: *value = core->mpu_number; return true;
        case 0xD9C: *value = core->regions[core->mpu_number].base | core->mpu_number; return true;
        case 0xDA0: *value = core->regions[core->mpu_number].attributes; return true;
        default: *value = 0; return true; // reserved words read as zero
    }
}

static void store_interrupt_state(struct core *core, uint32_t value) {
    core->pending |= (value >> 28 & 1u) != 0u ? 1ull << EXCEPTION_PENDSV : 0u;
    core->pending &= ~((value >> 27 & 1u) != 0u ? 1ull << EXCEPTION_PENDSV : 0u);
    core->pending |= (value >> 26 & 1u) != 0u ? 1ull << EXCEPTION_TICK : 0u;
    core->pending &= ~((value >> 25 & 1u) != 0u ? 1ull << EXCEPTION_TICK : 0u);
}

static void store_region_base(struct core *core, uint32_t value) {
    if ((value & 1u << 4) != 0u) {
        core->mpu_number = value & (REGION_COUNT - 1u);
    }
    core->regions[core->mpu_number].base = value & ~0xFFu;
    forget_permissions(core);
}

bool system_store(struct core *core, uint32_t address, uint32_t value) {
    uint32_t offset = address & 0xFFFu;
    if (offset >= 0x400u && offset < 0x420u) {
        set_four_priorities(core, 16u + (offset - 0x400u), value);
        return true;
    }
    switch (offset) {
        case 0x010:
            systick_advance(core);
            if (((value ^ core->systick_control) & TICK_ENABLE) != 0u) {
                systick_restart(core);
            }
            core->systick_control = value & 7u;
            break;
        case 0x014:
            systick_advance(core);
            core->systick_reload = value & COUNTER_MASK;
            break;
        case 0x018:
            systick_advance(core);
            core->systick_flag = false;
            systick_restart(core);
            break;
        case 0x100: core->enabled |= value; break;
        case 0x180: core->enabled &= ~value; break;
        case 0x200: core->pending |= (uint64_t)value << 16; break;
        case 0x280: core->pending &= ~((uint64_t)value << 16); break;
        case 0xD04: store_interrupt_state(core, value); break;
        case 0xD08: core->vector_table = value & ~0xFFu; break;
        case 0xD0C: core->reset_wanted |= value >> 16 == 0x05FAu && (value & 4u) != 0u; break;
        case 0xD1C: set_four_priorities(core, 8u, value); break;
        case 0xD20: set_four_priorities(core, 12u, value); break;
        case 0xD94:
            core->mpu_control = value & 7u;
            forget_permissions(core);
            break;
        case 0xD98: core->mpu_number = value & (REGION_COUNT - 1u); break;
        case 0xD9C: store_region_base(core, value); break;
        case 0xDA0:
            core->regions[core->mpu_number].attributes = value & 0x1707FF3Fu;
            forget_permissions(core);
            break;
        default: break;
    }
    return true;
}
