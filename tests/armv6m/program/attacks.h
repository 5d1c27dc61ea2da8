// SPDX-License-Identifier: Apache-2.0
// What the attacker tries on an RP2040, with the fault it must end in. One list for the program and, by its text, for
// pytest. The processor does not say why it faulted: the core names the reason by the instruction.
#ifndef ATTACKS_H
#define ATTACKS_H

#define ATTACKS(ATTACK)                                      \
    ATTACK(read_other_task, FAULT_MEMORY)                    \
    ATTACK(write_other_task, FAULT_MEMORY)                   \
    ATTACK(read_monitor, FAULT_MEMORY)                       \
    ATTACK(write_monitor, FAULT_MEMORY)                      \
    ATTACK(write_own_code, FAULT_MEMORY)                     \
    ATTACK(read_other_slot, FAULT_MEMORY)                    \
    ATTACK(read_secrets, FAULT_MEMORY)                       \
    ATTACK(read_secrets_around_the_cache, FAULT_MEMORY)      \
    ATTACK(read_secrets_by_ssi, FAULT_MEMORY)                \
    ATTACK(read_store, FAULT_MEMORY)                         \
    ATTACK(read_handoff, FAULT_MEMORY)                       \
    ATTACK(read_boot, FAULT_MEMORY)                          \
    ATTACK(read_boot_rom, FAULT_MEMORY)                      \
    ATTACK(write_behind_own_memory, FAULT_MEMORY)            \
    ATTACK(write_across_the_end, FAULT_MEMORY)               \
    ATTACK(read_behind_the_window, FAULT_MEMORY)             \
    ATTACK(read_scratch_bank, FAULT_MEMORY)                  \
    ATTACK(use_device_not_granted, FAULT_MEMORY)             \
    ATTACK(use_management_port, FAULT_MEMORY)                \
    ATTACK(use_usb_ram, FAULT_MEMORY)                        \
    ATTACK(start_a_dma_transfer, FAULT_MEMORY)               \
    ATTACK(start_the_other_processor, FAULT_MEMORY)          \
    ATTACK(reset_a_block, FAULT_MEMORY)                      \
    ATTACK(pull_the_watchdog, FAULT_MEMORY)                  \
    ATTACK(write_mpu, FAULT_MEMORY)                          \
    ATTACK(read_interrupt_controller, FAULT_MEMORY)          \
    ATTACK(read_not_aligned, FAULT_MEMORY)                   \
    ATTACK(execute_own_memory, FAULT_EXECUTE)                \
    ATTACK(execute_window, FAULT_EXECUTE)                    \
    ATTACK(execute_flash_command, FAULT_EXECUTE)             \
    ATTACK(execute_other_slot, FAULT_EXECUTE)                \
    ATTACK(execute_boot_rom, FAULT_EXECUTE)                  \
    ATTACK(forge_exception_return, FAULT_EXECUTE)            \
    ATTACK(recurse_for_ever, FAULT_STACK)                    \
    ATTACK(call_with_stack_in_monitor, FAULT_STACK)          \
    ATTACK(call_with_stack_in_other_task, FAULT_STACK)       \
    ATTACK(call_with_stack_at_null, FAULT_STACK)             \
    ATTACK(wait_for_tick_with_stack_in_monitor, FAULT_STACK) \
    ATTACK(undefined_instruction, FAULT_USAGE)               \
    ATTACK(leave_thumb_state, FAULT_USAGE)                   \
    ATTACK(breakpoint, FAULT_USAGE)                          \
    ATTACK(unknown_call, FAULT_SYSCALL)                      \
    ATTACK(call_of_a_service, FAULT_SYSCALL)                 \
    ATTACK(raise_privilege_then_write_monitor, FAULT_MEMORY) \
    ATTACK(mask_interrupts_and_spin, FAULT_MEMORY)

enum attack {
#define ATTACK_NUMBER(name, reason) name,
    ATTACKS(ATTACK_NUMBER)
#undef ATTACK_NUMBER
    ATTACK_COUNT
};

#endif
