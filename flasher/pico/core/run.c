// SPDX-License-Identifier: Apache-2.0
// Reset, and the loop: interrupts, an instruction, its fault.
#include <string.h>

#include "core.h"

// From the ROM's vector table. What Python has set up (memories, calls back, the time) stays.
void core_reset(struct core *core) {
    uint64_t cycles = core->cycles, deadline = core->deadline, instructions = core->instructions;
    struct core fresh = {.cycles = cycles, .deadline = deadline, .instructions = instructions, .faults = core->faults,
                         .rom = core->rom, .flash = core->flash, .ram = core->ram, .usb_ram = core->usb_ram,
                         .flash_mask = core->flash_mask, .read = core->read, .write = core->write,
                         .debugged = core->debugged};
    *core = fresh;
    core->cache_ram = core->cache_bytes;
    uint32_t entry = 0;
    memcpy(&core->r[13], core->rom, 4u);
    memcpy(&entry, core->rom + 4, 4u);
    core->r[13] &= ~3u;
    core->r[14] = 0xFFFFFFFFu;
    core->r[15] = entry & ~1u;
    core->thumb = (entry & 1u) != 0u;
}

void core_stop(struct core *core) { core->stopping = 1u; }

static void take_fault(struct core *core, uint32_t at) {
    core->faulted = false;
    if (execution_priority(core, false) < 0) {
        core->locked = true;
        return;
    }
    core->r[15] = at;
    enter_exception(core, EXCEPTION_HARD);
}

static void step(struct core *core) {
    uint32_t at = core->r[15];
    uint32_t instruction;
    if (!core->thumb) {
        core->faulted = true;
    } else if (fetch(core, at, &instruction)) {
        core->r[15] = at + 2u;
        core->instructions++;
        core->cycles++;
        execute(core, instruction);
    }
    if (core->faulted) {
        take_fault(core, at);
    }
}

enum stop core_run(struct core *core) {
    while (core->cycles < core->deadline) {
        if (core->stopping) {
            core->stopping = 0u;
            return STOP_BREAK;
        }
        if (core->reset_wanted) {
            return STOP_RESET;
        }
        if (core->halted) {
            return STOP_HALT;
        }
        if (core->locked) {
            return STOP_LOCKUP;
        }
        systick_advance(core);
        if ((core->pending | core->lines) != 0u) {
            uint32_t next = next_exception(core, true);
            if (next != EXCEPTION_NONE) {
                enter_exception(core, next);
                continue;
            }
            core->sleeping = core->sleeping && next_exception(core, false) == EXCEPTION_NONE;
        }
        if (core->sleeping) {
            bool ticks = (core->systick_control & 3u) == 3u && core->systick_reload != 0u;
            if (!ticks || core->systick_zero >= core->deadline) {
                return STOP_SLEEP;
            }
            core->cycles = core->systick_zero;
            continue;
        }
        step(core);
    }
    return STOP_DEADLINE;
}

uint32_t core_size(void) { return sizeof(struct core); }

void core_attach(struct core *core, const uint8_t *rom, uint8_t *flash, uint32_t flash_size, uint8_t *ram,
                 uint8_t *usb_ram, bus_read read, bus_write write) {
    core->rom = rom;
    core->flash = flash;
    core->flash_mask = flash_size - 1u;
    core->ram = ram;
    core->usb_ram = usb_ram;
    core->read = read;
    core->write = write;
}
