// SPDX-License-Identifier: Apache-2.0
// The hostile enclave takes one order, misbehaves, and is started afresh for the next.
#include "attacks.h"
#include "program.h"

static uint32_t in_window[8];

static void load(uint32_t address) {
    (void)*(volatile uint32_t *)address;
}
static void store(uint32_t address) {
    *(volatile uint32_t *)address = 0xBADC0DEu;
}
static void jump(uint32_t address) {
    ((void (*)(void))(address | 1u))();
}
// A word that returns: bx lr, twice.
static void execute_ram(uint32_t *place) {
    *(volatile uint32_t *)place = 0x47704770u;
    jump((uint32_t)place);
}

static uint32_t recurse(volatile uint32_t *above) {
    volatile uint32_t frame[16];
    frame[0] = *above;
    return *above == 0xFFFFFFFFu ? 0 : recurse(frame) + frame[0]; // the word is never that
}

static void call_with_stack(uint32_t stack) {
    __asm__ volatile(
        "mov  sp, %0   \n"
        "movs r0, #0   \n"
        "mov  r12, r0  \n" // SYS_YIELD
        "svc  0        \n"
        "b    .        \n"
        ::"l"(stack) : "r0", "r12", "memory");
}
static void spin_with_stack(uint32_t stack) {
    __asm__ volatile("mov sp, %0\n b .\n" ::"r"(stack) : "memory");
}

static void misbehave(uint32_t attack) {
    uint32_t own = TASK_MEMORY(ATTACKER);
    switch (attack) {
        case read_other_task: load(TASK_MEMORY(COUNTER) + 0x100u); break;
        case write_other_task: store(TASK_MEMORY(COUNTER) + 0x900u); break;
        case read_monitor: load(RAM(0x900u)); break;
        case write_monitor: store(RAM(0x900u)); break;
        case write_own_code: store((uint32_t)&attacker & ~3u); break;
        case read_other_slot: load(FLASH(BOARD_SLOT_B_OFFSET)); break;
        case read_secrets: load(FLASH(BOARD_SECRETS_OFFSET)); break;
        case read_secrets_around_the_cache: load(0x13000000u + BOARD_SECRETS_OFFSET); break;
        case read_secrets_by_ssi: load(0x18000060u); break;
        case read_store: load(FLASH(BOARD_STORE_OFFSET)); break;
        case read_handoff: load(BOARD_HANDOFF_BASE); break;
        case read_boot: load(BOARD_BOOT_BASE + 0x200u); break;
        case read_boot_rom: load(0x14u); break;
        case write_behind_own_memory: store(own + 0x1000u); break;
        case write_across_the_end:
            __asm__ volatile("mov r4, %0\n stmia r4!, {r0-r3}" ::"r"(own + 0xFF8u) : "r4", "memory");
            break;
        case read_behind_the_window: load(WINDOW + WINDOW_SIZE); break;
        case read_scratch_bank: load(0x20040000u); break;
        case use_device_not_granted: store(UART1); break;
        case use_management_port: load(BOARD_PORT_BASE); break;
        case use_usb_ram: store(0x50100080u); break;
        case start_a_dma_transfer: store(0x50000000u); break;
        case start_the_other_processor: store(SIO + 0x54u); break;
        case reset_a_block: store(0x4000E000u); break;
        case pull_the_watchdog: store(BOARD_WATCHDOG_BASE); break;
        case write_mpu: store(0xE000ED94u); break;
        case read_interrupt_controller: load(0xE000E100u); break;
        case read_not_aligned: __asm__ volatile("ldr r0, [%0]" ::"l"(own + 0x902u) : "r0"); break;
        case execute_own_memory: execute_ram((uint32_t *)(own + 0x900u)); break;
        case execute_window: execute_ram(in_window); break;
        case execute_flash_command: jump(RAM(0x1000u)); break; // somewhere in the monitor's RAM, like xip_flash.c's code
        case execute_other_slot: jump(FLASH(BOARD_SLOT_B_OFFSET) + 0x200u); break;
        case execute_boot_rom: jump(0x46u); break;
        case forge_exception_return: jump(0xFFFFFFF1u); break;
        case recurse_for_ever: recurse(in_window); break;
        case call_with_stack_in_monitor: call_with_stack(RAM(0xA00u)); break;
        case call_with_stack_in_other_task: call_with_stack(TASK_MEMORY(COUNTER) + 0x400u); break;
        case call_with_stack_at_null: call_with_stack(0); break;
        case wait_for_tick_with_stack_in_monitor: spin_with_stack(RAM(0xA00u)); break;
        case undefined_instruction: __asm__ volatile("udf #0"); break;
        case leave_thumb_state: __asm__ volatile("bx %0" ::"r"((uint32_t)&attacker & ~3u)); break;
        case breakpoint: __asm__ volatile("bkpt #0xab"); break;
        case unknown_call: syscall3(200, 0, 0, 0); break;
        case call_of_a_service: syscall3(SYS_RESET, 0, 0, 0); break;
        case raise_privilege_then_write_monitor:
            __asm__ volatile("movs r0, #0\n msr control, r0\n isb\n" ::: "r0");
            store(RAM(0x900u));
            break;
        case mask_interrupts_and_spin: {
            __asm__ volatile("cpsid i\n movs r0, #1\n msr primask, r0\n" ::: "r0");
            // With interrupts masked, time would stand still.
            uint64_t until = syscall_time() + 30000u;
            while (syscall_time() < until) {
            }
            store(0);
            break;
        }
        default: break;
    }
}

void attacker(const struct task *self) {
    // What a life before this one left in memory must be gone.
    uint32_t *heap = (uint32_t *)self->heap_base;
    uint32_t remains = in_window[0] | in_window[7];
    for (uint32_t i = 0; i < self->heap_size / 4u; i++) {
        remains |= heap[i];
        heap[i] = 0x5EC12E7u;
    }
    in_window[0] = in_window[7] = 0x5EC12E7u;
    if (remains != 0) {
        send_word(RESULT, 0xD1127u); // dirty
    }
    for (;;) {
        uint32_t order;
        if (receive_word(COMMAND, &order, FOREVER) >= 0) {
            misbehave(order);
            send_word(RESULT, 0xA11FEu); // alive
        }
    }
}

// Speaks every millisecond, and keeps registers that a switch could lose.
void counter(const struct task *self) {
    static uint32_t own;
    (void)self;
    for (uint32_t count = 1;; count++) {
        own++;
        register uint32_t high8 __asm__("r8") = count * 3u;
        register uint32_t high11 __asm__("r11") = ~count;
        __asm__ volatile("" : "+r"(high8), "+r"(high11));
        sleep_ms(1);
        __asm__ volatile("" : "+r"(high8), "+r"(high11));
        if (own != count || high8 != count * 3u || high11 != ~count) {
            send_word(COUNTS, 0xFFFFFFFFu);
        }
        send_word(COUNTS, count); // refused while nobody listens
    }
}

// Has the pins and not a byte more.
void native(const struct task *self) {
    (void)self;
    *(volatile uint32_t *)(SIO + 0x24u) = 1u << 25; // output enable
    *(volatile uint32_t *)(SIO + 0x14u) = 1u << 25; // high
    send_word(NATIVE_SAYS, *(volatile uint32_t *)(SIO + 0x10u));
    store(SIO + 0x40u);
}
