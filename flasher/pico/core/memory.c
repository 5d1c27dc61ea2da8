// SPDX-License-Identifier: Apache-2.0
// The bus: memories directly, peripherals through rp2040py, the system space in system.c. Anything else, an access that is
// not aligned, and one that the protection unit denies, is a fault.
#include <string.h>

#include "core.h"

// Where the RP2040 has peripherals (data sheet, section 2.2): XIP control and SSI, APB, AHB-Lite, SIO.
static bool is_peripheral(uint32_t address) {
    uint32_t top = address >> 24;
    return top == 0x14u || top == 0x18u || top == 0x40u || top == 0x50u || top == 0xD0u;
}

static uint8_t *memory_at(const struct core *core, uint32_t address) {
    if (address - RAM_BASE < RAM_SIZE) {
        return core->ram + (address - RAM_BASE);
    }
    if (address - USB_RAM_BASE < USB_RAM_SIZE) {
        return core->usb_ram + (address - USB_RAM_BASE);
    }
    // The cache is memory while it is off (section 2.6.3.1). Taken to be off exactly while the flash cannot be read, as it
    // is in the ROM's USB boot loader, which uses it.
    if (core->xip == 0u && address - CACHE_RAM_BASE < CACHE_RAM_SIZE) {
        return core->cache_ram + (address - CACHE_RAM_BASE);
    }
    return NULL;
}

static const uint8_t *readable_at(const struct core *core, uint32_t address) {
    if (address - FLASH_BASE < FLASH_END - FLASH_BASE) {
        return core->xip ? core->flash + (address & core->flash_mask) : NULL;
    }
    return address < ROM_SIZE ? core->rom + address : memory_at(core, address);
}

static bool fault(struct core *core) {
    core->faulted = true;
    return false;
}

// The bus itself, whoever drives it. False: nothing answers there.
bool bus_load(struct core *core, uint32_t address, uint32_t size, uint32_t *value) {
    const uint8_t *at = readable_at(core, address);
    if (at != NULL) {
        memcpy(value, at, size); // both are little endian
        return true;
    }
    if ((address & ~0xFFFu) == SYSTEM_BASE) {
        return size == 4u && system_load(core, address, value);
    }
    return is_peripheral(address) && core->read(address, size, value);
}

bool bus_store(struct core *core, uint32_t address, uint32_t size, uint32_t value) {
    // The first bytes of the USB controller's RAM are registers to it.
    bool usb_control = address - USB_RAM_BASE < 0x100u;
    uint8_t *at = usb_control ? NULL : memory_at(core, address);
    if (at != NULL) {
        memcpy(at, &value, size);
        return true;
    }
    if ((address & ~0xFFFu) == SYSTEM_BASE) {
        return size == 4u && system_store(core, address, value);
    }
    return is_peripheral(address) && core->write(address, size, value);
}

bool load_as(struct core *core, uint32_t address, uint32_t size, bool privileged, uint32_t *value) {
    *value = 0;
    if ((address & (size - 1u)) != 0u || !allowed(core, address, ACCESS_READ, privileged)) {
        return fault(core);
    }
    return bus_load(core, address, size, value) || fault(core);
}

bool store_as(struct core *core, uint32_t address, uint32_t size, bool privileged, uint32_t value) {
    if ((address & (size - 1u)) != 0u || !allowed(core, address, ACCESS_WRITE, privileged)) {
        return fault(core);
    }
    return bus_store(core, address, size, value) || fault(core);
}

bool load(struct core *core, uint32_t address, uint32_t size, uint32_t *value) {
    return load_as(core, address, size, is_privileged(core), value);
}

bool store(struct core *core, uint32_t address, uint32_t size, uint32_t value) {
    return store_as(core, address, size, is_privileged(core), value);
}

bool fetch(struct core *core, uint32_t address, uint32_t *half) {
    // Most instructions follow one of the same 32 bytes, read under the same circumstances.
    bool privileged = is_privileged(core);
    uint32_t faulting = core->active >> EXCEPTION_NMI & 3u;
    uint32_t key = (address & ~31u) | (uint32_t)privileged | faulting << 1 | (core->xip != 0u ? 8u : 0u);
    if (core->code == NULL || core->code_key != key) {
        core->code = NULL;
        const uint8_t *line = readable_at(core, address & ~31u);
        if (line == NULL || !allowed(core, address, ACCESS_EXECUTE, privileged)) {
            *half = 0;
            return fault(core);
        }
        core->code = line;
        core->code_key = key;
    }
    const uint8_t *at = core->code + (address & 31u);
    *half = (uint32_t)at[0] | (uint32_t)at[1] << 8;
    return true;
}
