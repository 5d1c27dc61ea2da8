// SPDX-License-Identifier: Apache-2.0
// The QSPI flash of an RP2040 board, erased and programmed by the boot ROM's functions (data sheet, section 2.8.3.1.3).
//
// While a command runs the flash cannot be read, so the code around it runs from RAM. RAM is not executable: that code is
// copied to its place each time, and a region of the protection unit then makes the place read-only and executable for
// privileged code until the command is done. Nothing is ever writable and executable. (Boot runs this with the unit off.)
#include <stdbool.h>
#include <string.h>

#include "board_config.h"
#include "coffret/flash.h"
#include "coffret/section.h"
#include "registers.h"
#include "rom_flash.h"

#define CODE_SIZE 128u

// The protection unit's region for tasks' windows, borrowed: no task runs meanwhile.
#define CODE_REGION 3u
#define REGION_VALID (1u << 4)
#define PRIVILEGED_CODE (5u << 24 | 1u << 17) // read-only for privileged code alone, executable; normal memory
#define SIZE_256 (7u << 1)                    // with half of it switched off
#define UPPER_HALF_OFF (0xF0u << 8)
_Static_assert(CODE_SIZE == 128u, "half of the smallest region");

// The ROM's table: a code of two letters, an address; at the end a code of 0 (section 2.8.3).
#define ROM_FUNCTIONS 0x14u
#define ROM_CODE(a, b) ((uint32_t)(a) | (uint32_t)(b) << 8)

struct flash_command {          // flash_command_code knows the layout
    void *connect;              // connect_internal_flash()
    void *exit_xip;             // flash_exit_xip()
    void *operation;            // flash_range_erase(offset, count, block size, block command) or
    void *flush_cache;          // flash_range_program(offset, data, count); flash_flush_cache()
    uintptr_t arguments[4];
};

// From leaving execute-in-place to being back in it. It is copied before it runs, so it names no address of its own. The
// SSI gets what boot_first_stage.S gives it.
__attribute__((naked, used, aligned(4))) static void flash_command_code(void) {
    __asm__ volatile(
        "flash_command_start:   \n" // r0: struct flash_command
        "push {r4, r5, r6, lr}  \n"
        "mov  r4, r0            \n"
        "ldr  r5, [r4, #0]      \n"
        "blx  r5                \n"
        "ldr  r5, [r4, #4]      \n"
        "blx  r5                \n"
        "ldr  r5, [r4, #8]      \n"
        "ldr  r0, [r4, #16]     \n"
        "ldr  r1, [r4, #20]     \n"
        "ldr  r2, [r4, #24]     \n"
        "ldr  r3, [r4, #28]     \n"
        "blx  r5                \n"
        "ldr  r5, [r4, #12]     \n" // what the cache held is old; this also frees the chip select
        "blx  r5                \n"
        "ldr  r3, =0x18000000   \n" // SSI, section 4.10.13
        "movs r0, #0            \n"
        "str  r0, [r3, #0x08]   \n" // SSIENR: off
        "movs r1, #4            \n"
        "str  r1, [r3, #0x14]   \n" // BAUDR
        "ldr  r1, =0x001F0300   \n"
        "str  r1, [r3, #0x00]   \n" // CTRLR0
        "str  r0, [r3, #0x04]   \n" // CTRLR1
        "ldr  r1, =0x03000218   \n"
        "ldr  r2, =0x180000F4   \n" // SPI_CTRLR0
        "str  r1, [r2]          \n"
        "movs r0, #1            \n"
        "str  r0, [r3, #0x08]   \n" // SSIENR: on
        "pop  {r4, r5, r6, pc}  \n"
        ".ltorg                 \n"
        ".org flash_command_start + 128 \n"); // CODE_SIZE: an error if it is longer
}

MONITOR_BSS __attribute__((aligned(256))) static uint8_t code[CODE_SIZE];

static uint32_t rom_half(uint32_t address) { return *(const volatile uint16_t *)address; }

static void *rom_function(uint32_t wanted) {
    for (uint32_t at = rom_half(ROM_FUNCTIONS);; at += 4u) {
        uint32_t name = rom_half(at);
        if (name == wanted || name == 0u) {
            return (void *)(uintptr_t)(name == 0u ? 0u : rom_half(at + 2u));
        }
    }
}

static void run(struct flash_command *command) {
    command->connect = rom_function(ROM_CODE('I', 'F'));
    command->exit_xip = rom_function(ROM_CODE('E', 'X'));
    command->flush_cache = rom_function(ROM_CODE('F', 'C'));
    // Vectors and handlers are in the flash.
    uint32_t interrupts = cpu_interrupts_save();
    memcpy(code, (const void *)((uintptr_t)flash_command_code & ~1u), CODE_SIZE);
    uint32_t old_attributes;
    uint32_t old = mpu_read_region(CODE_REGION, &old_attributes);
    mpu_set_region((uint32_t)code | REGION_VALID | CODE_REGION, PRIVILEGED_CODE | UPPER_HALF_OFF | SIZE_256 | 1u);
    mpu_synchronise();
    ((void (*)(struct flash_command *))((uintptr_t)code | 1u))(command);
    mpu_set_region((old & ~0xFu) | REGION_VALID | CODE_REGION, old_attributes);
    mpu_synchronise();
    cpu_interrupts_restore(interrupts);
}

static void rom_erase(uint32_t offset, uint32_t length) {
    struct flash_command command = {
        .operation = rom_function(ROM_CODE('R', 'E')),
        .arguments = {offset, length, BLOCK, BLOCK_ERASE},
    };
    run(&command);
}

static void rom_program(uint32_t offset, const uint8_t *data) {
    struct flash_command command = {
        .operation = rom_function(ROM_CODE('R', 'P')),
        .arguments = {offset, (uintptr_t)data, PAGE, 0u},
    };
    run(&command);
}
