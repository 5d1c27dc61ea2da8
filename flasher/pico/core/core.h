// SPDX-License-Identifier: Apache-2.0
// A Cortex-M0+ for the emulated Pico: Armv6-M (Arm DDI 0419) with the unprivileged extension, PMSAv6, SysTick and 32
// interrupts. It replaces the processor of rp2040py, which knows neither protection nor faults and is some fifty times
// slower; the peripherals stay rp2040py's, reached through two calls back. Host code: nothing here ships on a board.
#ifndef PICO_CORE_H
#define PICO_CORE_H

#include <stdbool.h>
#include <stdint.h>

#define REGION_COUNT 8u
#define ROM_SIZE 0x4000u
#define RAM_BASE 0x20000000u
#define RAM_SIZE 0x42000u
#define FLASH_BASE 0x10000000u
#define FLASH_END 0x14000000u       // four windows on the same flash (data sheet, section 2.6.3)
#define USB_RAM_BASE 0x50100000u
#define USB_RAM_SIZE 0x1000u
#define CACHE_RAM_BASE 0x15000000u
#define CACHE_RAM_SIZE 0x4000u
#define SYSTEM_BASE 0xE000E000u

enum stop {                         // why core_run came back
    STOP_DEADLINE = 0,              // enough cycles
    STOP_SLEEP = 1,                 // WFI or WFE, and nothing to wake it
    STOP_RESET = 2,                 // SYSRESETREQ
    STOP_LOCKUP = 3,                // a fault in the fault handler
    STOP_BREAK = 4,                 // core_stop
    STOP_HALT = 5                   // BKPT while a debugger is attached; r[15] is its address
};

enum access { ACCESS_READ, ACCESS_WRITE, ACCESS_EXECUTE };

// Peripherals: `size` is 1, 2 or 4 bytes. False: nothing answers there.
typedef bool (*bus_read)(uint32_t address, uint32_t size, uint32_t *value);
typedef bool (*bus_write)(uint32_t address, uint32_t size, uint32_t value);

struct mpu_region {
    uint32_t base, attributes;
};

// What a line of 32 bytes allows, remembered until the protection unit or the privilege changes.
#define CACHE_LINES 1024u
struct permission {
    uint32_t line;                  // address / 32 + 1; 0: nothing is remembered
    uint8_t rights[2];              // bit n: enum access n; [1] for privileged code
};

struct core {
    // First, because Python reads and writes them.
    uint64_t cycles;
    uint64_t deadline;              // core_run comes back when `cycles` has reached it
    uint32_t lines;                 // interrupt lines that are up
    uint32_t xip;                   // the flash can be read
    uint32_t stopping;              // set by core_stop
    uint32_t faults;                // HardFaults taken
    uint64_t instructions;
    uint32_t r[16];                 // r[13] is the stack pointer in use, r[15] the next instruction
    uint32_t debugged;              // a debugger is attached: BKPT halts instead of being a fault
    uint32_t halted;                // nothing runs until it is 0 again
    // From here on nobody else looks.
    uint32_t other_stack;           // the stack pointer that is not in use
    bool n, z, c, v, thumb;
    uint32_t exception;             // IPSR
    bool primask, unprivileged, process_stack;
    bool sleeping, event, faulted, locked, reset_wanted;
    uint64_t active;                // exceptions being served, by number
    uint64_t pending;               // but for the interrupt lines
    uint32_t enabled;               // interrupts
    uint8_t priority[48];           // by exception number; 0..3
    uint32_t vector_table;
    uint32_t systick_control, systick_reload;
    uint64_t systick_zero;          // cycle at which the counter is next 0
    bool systick_flag;
    uint32_t mpu_control, mpu_number;
    struct mpu_region regions[REGION_COUNT];
    struct permission permissions[CACHE_LINES];
    uint32_t code_key;              // of the line that was last executed from (memory.c)
    const uint8_t *code;            // its bytes; NULL: not known
    const uint8_t *rom;
    uint8_t *flash, *ram, *usb_ram;
    uint32_t flash_mask;            // its size less one
    uint8_t *cache_ram;             // the flash cache as memory, while there is no flash to be cached
    uint8_t cache_bytes[CACHE_RAM_SIZE];
    bus_read read;
    bus_write write;
};

// ---- run.c ----
void core_reset(struct core *core);
enum stop core_run(struct core *core);

// ---- execute.c ----
// One instruction that is 16 bits long, or the first half of one that is longer.
void execute(struct core *core, uint32_t instruction);

// ---- memory.c: false, and `faulted` is set, when the access is not possible ----
bool load(struct core *core, uint32_t address, uint32_t size, uint32_t *value);
bool store(struct core *core, uint32_t address, uint32_t size, uint32_t value);
bool load_as(struct core *core, uint32_t address, uint32_t size, bool privileged, uint32_t *value);
bool store_as(struct core *core, uint32_t address, uint32_t size, bool privileged, uint32_t value);
bool fetch(struct core *core, uint32_t address, uint32_t *half);
bool bus_load(struct core *core, uint32_t address, uint32_t size, uint32_t *value);
bool bus_store(struct core *core, uint32_t address, uint32_t size, uint32_t value);

// ---- protection.c ----
bool allowed(struct core *core, uint32_t address, enum access access, bool privileged);
void forget_permissions(struct core *core);

// ---- debug.c: what a debugger sees of a halted core, by number (Arm DDI 0419, section C1.6.3, DCRSR) ----
uint32_t core_debug_register(struct core *core, uint32_t number);
void core_set_debug_register(struct core *core, uint32_t number, uint32_t value);
// The bus as a debugger's access port drives it: no protection unit, no privilege. False: nothing answers there.
bool core_debug_load(struct core *core, uint32_t address, uint32_t size, uint32_t *value);
bool core_debug_store(struct core *core, uint32_t address, uint32_t size, uint32_t value);

// ---- exceptions.c ----
#define XPSR_THUMB (1u << 24)
uint32_t status(const struct core *core);
#define EXCEPTION_NMI 2u
#define EXCEPTION_HARD 3u
#define EXCEPTION_CALL 11u
#define EXCEPTION_PENDSV 14u
#define EXCEPTION_TICK 15u
#define EXCEPTION_NONE 0u
bool is_privileged(const struct core *core);
int execution_priority(const struct core *core, bool with_primask);
// The most urgent one that could be taken, EXCEPTION_NONE if none can.
uint32_t next_exception(const struct core *core, bool with_primask);
void enter_exception(struct core *core, uint32_t number);
void leave_exception(struct core *core, uint32_t how);
void use_stack(struct core *core, bool process);

// ---- system.c ----
bool system_load(struct core *core, uint32_t address, uint32_t *value);
bool system_store(struct core *core, uint32_t address, uint32_t value);
void systick_advance(struct core *core);

#endif
