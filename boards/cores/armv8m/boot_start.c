// SPDX-License-Identifier: Apache-2.0
// Where boot begins and where it ends, in the Secure world of an Armv8-M: reset, faults, and the jump into the image,
// after which the Secure world answers gateways (boot_gateways.c) and passes on the faults of those who reach for it.
#include <string.h>

#include "boot_begin.h"
#include "coffret/crypto.h"
#include "gateways.h"
#include "secure.h"

// While the image runs, boot's stack serves calls of the monitor; those of tasks have another, at the top of its RAM.
#define BOOT_RAM_END (BOARD_BOOT_RAM_BASE + BOARD_BOOT_RAM_SIZE)
#define TASK_STACK_SIZE 0x1800u

static void reset(void);
static void fault(void);
static void secure_fault(void);
static void memory_fault(void);

// Section B3.30. Number 4 is MemManage, number 7 SecureFault.
__attribute__((section(".vectors"), used)) static const struct boot_vector_table vectors = {
    .stack = __boot_stack_top,
    .handlers = {reset, fault, fault, memory_fault, fault, fault, secure_fault, fault, fault, fault, fault, fault, fault, fault,
                 fault},
};

__attribute__((used)) static void reset(void) {
    cpu_interrupts_disable();
    cpu_set_main_stack_limit(BOARD_BOOT_RAM_BASE);
    boot_clear_variables();
    // With what the last run left there, its key among it.
    memset((void *)BOARD_SECURE_STATE_BASE, 0, BOARD_SECURE_STATE_SIZE);
    board_separate_worlds(); // closes the slots to boot, too: the Secure world executes nothing Non-secure
    secure_set_exceptions();
    boot_main(boot_has_faulted());
}

// ---- faults ----

// Start again, in recovery. Once an image runs, whoever made us stumble shall not choose recovery by it.
__attribute__((used)) static void restart(void) {
    if (secure()->running == 0u) {
        boot_remember_fault();
    }
    board_reset();
}

// Perhaps the stack itself is what went wrong: begin a new one.
__attribute__((naked, used)) static void fault(void) {
    __asm__ volatile("movs r0, #0\n"
                     "msr msplim, r0\n"
                     "ldr r0, =__boot_stack_top\n"
                     "msr msp, r0\n"
                     "b restart\n"
                     ".ltorg\n");
}

// A task reached for Secure memory. The monitor will deal with it as with any other fault: it gets a memory fault or, for
// a jump, a usage fault, both without a cause of their own, which is how it knows them (core.c). False: it is no
// task's fault.
__attribute__((used)) static bool pass_on(void) {
    uint32_t status = secure_fault_status();
    if (secure()->running == 0u || !non_secure_faults_enabled()) {
        return false;
    }
    if (status & SECURE_FAULT_INVEP) {
        non_secure_pend_usage_fault();
        return true;
    }
    if (status & SECURE_FAULT_AUVIOL) {
        non_secure_pend_memory_fault(status & SECURE_FAULT_ADDRESS_VALID ? secure_fault_address() : FAULT_WITHOUT_ADDRESS);
        return true;
    }
    return false;
}

// Register atlas: lr is EXC_RETURN: bit 6 the interrupted code was Secure, bit 3 it was in thread mode. r4-r11 are the
// task's and are kept; the rest is on its stack, and must not carry anything of ours out.
__attribute__((naked, used)) static void secure_fault(void) {
    __asm__ volatile("tst lr, #0x40\n"
                     "bne fault\n" // our own
                     "tst lr, #8\n"
                     "beq fault\n" // the monitor's own: it would only fault again
                     "push {r4, lr}\n"
                     "bl pass_on\n"
                     "cmp r0, #0\n"
                     "pop {r4, lr}\n"
                     "beq fault\n"
                     "movs r0, #0\n"
                     "movs r1, #0\n"
                     "movs r2, #0\n"
                     "movs r3, #0\n"
                     "mov r12, r0\n"
                     "bx lr\n");
}

// A task may jump to FNC_RETURN, where Non-secure functions that the Secure world called return. We call none. If no task
// is inside a gateway the stack's seal stops it. If one is, interrupted, the words on top are those of its frame: a
// signature, which as an address is never executable, and a reserved word; where that looks like a thread's status the
// jump succeeds, consumes both, and faults here. Then the frame is mended, and the fault is the task's that jumped.
#define FRAME_SIGNATURE 0xFEFA125Bu // section B3.19, without floating point
__attribute__((used)) static bool mend_frame(uint32_t *frame) {
    uint32_t status = fault_status();
    fault_clear(status);
    if (secure()->running == 0u || secure()->busy == 0u || !non_secure_faults_enabled() ||
        (status & FAULT_STATUS_IACCVIOL) == 0u || frame[6] != (FRAME_SIGNATURE & ~1u)) {
        return false;
    }
    frame[6] = FRAME_SIGNATURE;
    frame[7] = 0xFFFFFFFFu; // no thread's status: not a second time
    cpu_set_process_stack((uint32_t)&frame[6]);
    non_secure_pend_usage_fault();
    return true;
}

// Register atlas: lr is EXC_RETURN: bits 6, 3 and 2: Secure, thread mode, process stack, so a gateway's for a task. What
// r4-r11 hold is the jumping task's. The return is to that task: the usage fault is taken first.
__attribute__((naked, used)) static void memory_fault(void) {
    __asm__ volatile("and r0, lr, #0x4C\n"
                     "cmp r0, #0x4C\n"
                     "bne fault\n"
                     "mrs r0, psp\n"
                     "push {r4, lr}\n"
                     "bl mend_frame\n"
                     "pop {r4, lr}\n"
                     "cmp r0, #0\n"
                     "beq fault\n"
                     "movs r0, #0\n"
                     "movs r1, #0\n"
                     "movs r2, #0\n"
                     "movs r3, #0\n"
                     "mov r12, r0\n"
                     "ldr lr, =0xFFFFFFBD\n" // Non-secure, thread mode; ours keeps its process stack
                     "bx lr\n"
                     ".ltorg\n");
}

// ---- the end of boot ----

// Boot may lie at the flash's start, and regions must not overlap.
#define OPEN_FLASH_BASE (BOARD_FLASH_BASE + (BOARD_BOOT_BASE == BOARD_FLASH_BASE ? BOARD_BOOT_SIZE : 0u))

// The Secure world's map from now on, recovery's and the gateways': what they need, code read only, nothing else
// executed. No region has the secrets, and privileged code gets no background map.
void boot_lock_secrets(void) {
    _Static_assert(BOARD_STORE_OFFSET + BOARD_STORE_BANKS * BOARD_STORE_BANK_SIZE <= BOARD_SECRETS_OFFSET &&
                       BOARD_SLOT_B_OFFSET + BOARD_SLOT_SIZE <= BOARD_SECRETS_OFFSET,
                   "the secrets lie behind all that stays open");
    mpu_disable();
    for (uint32_t region = 0; region < mpu_regions(); region++) {
        mpu_clear_region(region);
    }
    mpu_set_memory_kinds();
    // Readable by unprivileged code too, as far as this unit is concerned: it judges the fetch of a gateway's SG.
    secure_set_region(0, BOARD_BOOT_BASE, BOARD_BOOT_BASE + BOARD_BOOT_SIZE, 3u << 1, MPU_NORMAL);
    secure_set_region(1, BOARD_BOOT_RAM_BASE, BOARD_SECURE_STATE_BASE + BOARD_SECURE_STATE_SIZE,
               MPU_PRIVILEGED_RW_NEVER_EXECUTED, MPU_NORMAL);
    secure_set_region(2, OPEN_FLASH_BASE, BOARD_FLASH_BASE + BOARD_SECRETS_OFFSET, MPU_PRIVILEGED_RW_NEVER_EXECUTED, MPU_NORMAL);
    secure_set_region(3, BOARD_RAM_BASE, BOARD_RAM_BASE + BOARD_RAM_SIZE, MPU_PRIVILEGED_RW_NEVER_EXECUTED, MPU_NORMAL);
    secure_set_region(4, 0x40000000u, 0x60000000u, MPU_PRIVILEGED_RW_NEVER_EXECUTED, MPU_DEVICE);
    board_map_secure(5);
    mpu_enable_strictly();
}

// Never comes back, so it may erase the stack it was called on. Both Secure stacks end with two words that no exception
// or function return accepts (Arm's advisory on stack selection, CVE-2020-16273): without them Non-secure code could make
// the processor return to the Secure world by what happens to lie above an empty stack.
__attribute__((naked, noreturn)) static void wipe_and_enter(__attribute__((unused)) uint32_t table,
                                                            __attribute__((unused)) uint32_t ram,
                                                            __attribute__((unused)) uint32_t ram_end,
                                                            __attribute__((unused)) uint32_t task_stack) {
    __asm__ volatile("msr psplim, r3\n"
                     "movs r3, #0\n"
                     "mov r4, r2\n"
                     "1: stmia r1!, {r3}\n"
                     "cmp r1, r2\n"
                     "blo 1b\n"
                     "ldr r1, =0xFEF5EDA5\n"
                     "mov r2, r1\n"
                     "ldr r5, =__boot_stack_top\n"
                     "stmdb r5!, {r1, r2}\n"
                     "msr msp, r5\n"
                     "stmdb r4!, {r1, r2}\n"
                     "msr psp, r4\n"
                     "movs r1, #2\n"
                     "msr control, r1\n" // thread mode: privileged, on the process stack
                     "isb\n"
                     "ldr r1, [r0]\n"
                     "ldr r2, [r0, #4]\n"
                     "msr msp_ns, r1\n"
                     "bic r2, #1\n" // to the Non-secure world
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
                     "mvn r3, r3\n"
                     "mov lr, r3\n"
                     "msr apsr_nzcvq, r0\n"
                     "dsb\n"
                     "isb\n"
                     "cpsie i\n"
                     "bxns r2\n"
                     ".ltorg\n");
}

void boot_enter_image(uint32_t table) {
    struct handoff *open = (struct handoff *)BOARD_HANDOFF_BASE;
    secure_remember_image(table);
    *open = secure()->facts;
    wipe(open->alias_private, sizeof open->alias_private);
    secure()->running = 1u;
    secure_faults_enable();
    non_secure_set_vector_table(table);
    wipe_and_enter(table, BOARD_BOOT_RAM_BASE, BOOT_RAM_END, BOOT_RAM_END - TASK_STACK_SIZE);
}
