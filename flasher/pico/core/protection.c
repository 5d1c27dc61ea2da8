// SPDX-License-Identifier: Apache-2.0
// The memory protection unit, PMSAv6 (Arm DDI 0419, section B3.5), and the memory map where no region says otherwise.
#include <string.h>

#include "core.h"

#define READ (1u << ACCESS_READ)
#define WRITE (1u << ACCESS_WRITE)
#define EXECUTE (1u << ACCESS_EXECUTE)

#define CONTROL_ENABLE 1u
#define CONTROL_IN_FAULTS 2u    // HFNMIENA
#define CONTROL_DEFAULT 4u      // PRIVDEFENA
#define NEVER_EXECUTE (1u << 28)

// Table B3-12: what AP allows, for unprivileged and for privileged code.
static const uint8_t access_rights[8][2] = {
    {0, 0}, {0, READ | WRITE}, {READ, READ | WRITE}, {READ | WRITE, READ | WRITE},
    {0, 0}, {0, READ},         {READ, READ},         {READ, READ},
};

void forget_permissions(struct core *core) {
    memset(core->permissions, 0, sizeof core->permissions);
    core->code = NULL;
}

// Section B3.1: nothing executes in device memory and in the system space.
static uint32_t default_rights(uint32_t address) {
    bool device = (address >= 0x40000000u && address < 0x60000000u) || address >= 0xA0000000u;
    return READ | WRITE | (device ? 0u : EXECUTE);
}

static bool in_region(const struct mpu_region *region, uint32_t address) {
    if ((region->attributes & 1u) == 0u) {
        return false;
    }
    uint32_t bits = ((region->attributes >> 1) & 31u) + 1u;
    if (bits < 8u) {
        return false; // reserved: the smallest is 256 bytes
    }
    uint32_t mask = bits >= 32u ? 0xFFFFFFFFu : (1u << bits) - 1u;
    if (((address ^ region->base) & ~mask) != 0u) {
        return false;
    }
    uint32_t part = (address & mask) >> (bits - 3u);
    return (region->attributes >> (8u + part) & 1u) == 0u;
}

static uint32_t rights_of(const struct core *core, uint32_t address, bool privileged) {
    if (address - 0xE0000000u < 0x100000u) {
        return privileged ? READ | WRITE : 0u; // the private bus is no business of the unit
    }
    for (uint32_t number = REGION_COUNT; number-- > 0u;) {
        const struct mpu_region *region = &core->regions[number];
        if (in_region(region, address)) {
            uint32_t rights = access_rights[region->attributes >> 24 & 7u][privileged];
            bool executes = (rights & READ) != 0u && (region->attributes & NEVER_EXECUTE) == 0u;
            return rights | (executes ? EXECUTE : 0u);
        }
    }
    return privileged && (core->mpu_control & CONTROL_DEFAULT) != 0u ? default_rights(address) : 0u;
}

bool allowed(struct core *core, uint32_t address, enum access access, bool privileged) {
    bool in_fault = (core->active & (1u << EXCEPTION_HARD | 1u << EXCEPTION_NMI)) != 0u;
    if ((core->mpu_control & CONTROL_ENABLE) == 0u || (in_fault && (core->mpu_control & CONTROL_IN_FAULTS) == 0u)) {
        bool system = address - 0xE0000000u < 0x100000u;
        return (default_rights(address) >> access & 1u) != 0u && (privileged || !system);
    }
    struct permission *known = &core->permissions[address / 32u % CACHE_LINES];
    if (known->line != address / 32u + 1u) {
        known->line = address / 32u + 1u;
        known->rights[0] = (uint8_t)rights_of(core, address, false);
        known->rights[1] = (uint8_t)rights_of(core, address, true);
    }
    return (known->rights[privileged] >> access & 1u) != 0u;
}
