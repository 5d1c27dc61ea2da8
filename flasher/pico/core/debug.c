// SPDX-License-Identifier: Apache-2.0
// What a debugger reads and writes of a core that it has halted: registers by DCRSR's numbers (Arm DDI 0419, section
// C1.6.3), and the bus, which its access port drives past the protection unit.
#include "core.h"

enum { XPSR = 16, MAIN_STACK = 17, PROCESS_STACK = 18, CONTROL_PRIMASK = 20 };

static uint32_t *stack_pointer(struct core *core, bool process) {
    return core->process_stack == process ? &core->r[13] : &core->other_stack;
}

uint32_t core_debug_register(struct core *core, uint32_t number) {
    switch (number) {
        case XPSR: return status(core);
        case MAIN_STACK: return *stack_pointer(core, false);
        case PROCESS_STACK: return *stack_pointer(core, true);
        case CONTROL_PRIMASK:
            return (uint32_t)core->unprivileged << 24 | (uint32_t)core->process_stack << 25 | (uint32_t)core->primask;
        default: return number < 16u ? core->r[number] : 0u;
    }
}

static void set_status(struct core *core, uint32_t value) {
    core->n = (value >> 31 & 1u) != 0u;
    core->z = (value >> 30 & 1u) != 0u;
    core->c = (value >> 29 & 1u) != 0u;
    core->v = (value >> 28 & 1u) != 0u;
    core->thumb = (value & XPSR_THUMB) != 0u;
    core->exception = value & 63u;
}

void core_set_debug_register(struct core *core, uint32_t number, uint32_t value) {
    switch (number) {
        case XPSR: set_status(core, value); break;
        case MAIN_STACK: *stack_pointer(core, false) = value & ~3u; break;
        case PROCESS_STACK: *stack_pointer(core, true) = value & ~3u; break;
        case CONTROL_PRIMASK:
            core->unprivileged = (value >> 24 & 1u) != 0u;
            use_stack(core, (value >> 25 & 1u) != 0u);
            core->primask = (value & 1u) != 0u;
            forget_permissions(core);
            break;
        case 13: core->r[13] = value & ~3u; break;
        case 15:
            core->r[15] = value & ~1u;
            core->sleeping = false;
            break;
        default:
            if (number < 15u) {
                core->r[number] = value;
            }
    }
}

bool core_debug_load(struct core *core, uint32_t address, uint32_t size, uint32_t *value) {
    *value = 0;
    return (address & (size - 1u)) == 0u && bus_load(core, address, size, value);
}

bool core_debug_store(struct core *core, uint32_t address, uint32_t size, uint32_t value) {
    return (address & (size - 1u)) == 0u && bus_store(core, address, size, value);
}
