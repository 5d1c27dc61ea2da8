// SPDX-License-Identifier: Apache-2.0
// The QSPI flash of an RP2350 board, erased and programmed by the boot ROM's functions (data sheet, section 5.4.8). The
// Secure world's alone: the image asks by a gateway.
//
// While a command runs the flash cannot be read. Unlike the RP2040's, these functions leave it readable each time they
// return, by the serial read 03h, so the code between them may stay in the flash: none of it runs meanwhile, and
// interrupts, whose handlers are in the flash too, are masked in both worlds.
#include "../rp2/rom_flash.h"
#include "registers.h"

// The ROM's lookup: a code of two letters, and for whom (section 5.4.1).
#define ROM_LOOKUP 0x16u
#define ROM_CODE(a, b) ((uint32_t)(a) | (uint32_t)(b) << 8)
#define ROM_ARM_SECURE 4u

static uint32_t rom_half(uint32_t address) { return *(const volatile uint16_t *)address; }

static void *rom_function(uint32_t code) {
    return ((void *(*)(uint32_t, uint32_t))(uintptr_t)rom_half(ROM_LOOKUP))(code, ROM_ARM_SECURE);
}

static void call(uint32_t code) { ((void (*)(void))rom_function(code))(); }

static uint32_t begin(void) {
    uint32_t interrupts = cpu_interrupts_save();
    call(ROM_CODE('I', 'F')); // connect_internal_flash()
    call(ROM_CODE('E', 'X')); // flash_exit_xip()
    return interrupts;
}

static void end(uint32_t interrupts) {
    call(ROM_CODE('F', 'C')); // flash_flush_cache(): what the cache held is old
    cpu_interrupts_restore(interrupts);
}

static void rom_erase(uint32_t offset, uint32_t length) {
    uint32_t interrupts = begin();
    // flash_range_erase(offset, count, block size, block command)
    ((void (*)(uint32_t, size_t, uint32_t, uint8_t))rom_function(ROM_CODE('R', 'E')))(offset, length, BLOCK, BLOCK_ERASE);
    end(interrupts);
}

static void rom_program(uint32_t offset, const uint8_t *data) {
    uint32_t interrupts = begin();
    // flash_range_program(offset, data, count)
    ((void (*)(uint32_t, const uint8_t *, size_t))rom_function(ROM_CODE('R', 'P')))(offset, data, PAGE);
    end(interrupts);
}
