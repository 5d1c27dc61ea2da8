// SPDX-License-Identifier: Apache-2.0
// Where boot begins and where it ends, on Armv6-M and Armv7-M: reset, faults, and the jump into the image.
#include "boot_begin.h"

static void reset(void);
static void fault(void);

// DDI 0419 and 0403, section B1.5.2.
__attribute__((section(".vectors"), used)) static const struct boot_vector_table vectors = {
    .stack = __boot_stack_top,
    .handlers = {reset, fault, fault, fault, fault, fault, fault, fault, fault, fault, fault, fault, fault, fault,
                 fault},
};

// Whoever makes boot stumble into a slot, by a return address that is a pointer into an image, finds nothing to execute
// there. Regions 0 and 1; the other numbers are what they are while an image runs.
static inline void close_slots(void) {
    mpu_set_region(BOARD_MPU_SLOT_A_CLOSED_RBAR, BOARD_MPU_SLOT_A_CLOSED_RASR);
    mpu_set_region(BOARD_MPU_SLOT_B_CLOSED_RBAR, BOARD_MPU_SLOT_B_CLOSED_RASR);
    mpu_enable();
}

// In effect after the barriers of wipe_and_enter.
static inline void open_slot(uint32_t address) {
    mpu_clear_region(address < BOARD_FLASH_BASE + BOARD_SLOT_B_OFFSET ? 0u : 1u);
}

static void reset(void) {
    cpu_interrupts_disable();
    boot_clear_variables();
    close_slots();
    boot_main(boot_has_faulted());
}

static void fault(void) {
    boot_remember_fault();
    board_reset();
}

void boot_lock_secrets(void) {
    board_lock_flash();
    mpu_set_region(BOARD_MPU_SECRETS_RBAR, BOARD_MPU_SECRETS_RASR);
    mpu_enable();
}

// Never comes back, so it may erase the stack it was called on: no memory but the vector table is read after that.
__attribute__((naked, noreturn)) static void wipe_and_enter(__attribute__((unused)) uint32_t table,
                                                            __attribute__((unused)) uint32_t ram,
                                                            __attribute__((unused)) uint32_t ram_end) {
    __asm__ volatile("movs r3, #0\n"
                     "1: stmia r1!, {r3}\n"
                     "cmp r1, r2\n"
                     "blo 1b\n"
                     "ldr r1, [r0]\n"
                     "ldr r2, [r0, #4]\n"
                     "msr msp, r1\n"
                     // The image gets the registers as empty as after a reset.
                     "mov r0, r3\n"
                     "mov r1, r3\n"
                     "mov r4, r3\n"
                     "mov r5, r3\n"
                     "mov r6, r3\n"
                     "mov r7, r3\n"
                     "mov r8, r3\n"
                     "mov r9, r3\n"
                     "mov r10, r3\n"
                     "mov r11, r3\n"
                     "mov r12, r3\n"
                     "mvns r3, r3\n"
                     "mov lr, r3\n"
                     "msr apsr, r0\n"
                     "dsb\n"
                     "isb\n"
                     "cpsie i\n"
                     "bx r2\n");
}

void boot_enter_image(uint32_t table) {
    scb_set_vector_table(table);
    open_slot(table);
    wipe_and_enter(table, BOARD_BOOT_RAM_BASE, BOARD_BOOT_RAM_BASE + BOARD_BOOT_RAM_SIZE);
}
