// SPDX-License-Identifier: Apache-2.0
// What the attacker tries, with the fault it must end in. One list for the program and, by its text, for pytest.
#ifndef ATTACKS_H
#define ATTACKS_H

#define ATTACKS(ATTACK)                                   \
    ATTACK(read_other_task, FAULT_MEMORY)                 \
    ATTACK(write_other_task, FAULT_MEMORY)                \
    ATTACK(read_monitor, FAULT_MEMORY)                    \
    ATTACK(write_monitor, FAULT_MEMORY)                   \
    ATTACK(read_queue, FAULT_MEMORY)                      \
    ATTACK(write_own_code, FAULT_MEMORY)                  \
    ATTACK(read_other_slot, FAULT_MEMORY)                 \
    ATTACK(write_flash, FAULT_MEMORY)                     \
    ATTACK(read_secrets, FAULT_MEMORY)                    \
    ATTACK(read_store, FAULT_MEMORY)                      \
    ATTACK(read_handoff, FAULT_MEMORY)                    \
    ATTACK(read_boot, FAULT_MEMORY)                       \
    ATTACK(write_null, FAULT_MEMORY)                      \
    ATTACK(write_behind_own_memory, FAULT_MEMORY)         \
    ATTACK(write_across_the_end, FAULT_MEMORY)            \
    ATTACK(exhaust_own_memory, FAULT_MEMORY)              \
    ATTACK(read_behind_the_window, FAULT_MEMORY)          \
    ATTACK(use_device_not_granted, FAULT_MEMORY)          \
    ATTACK(use_management_port, FAULT_MEMORY)             \
    ATTACK(write_mpu, FAULT_BUS)                          \
    ATTACK(read_interrupt_controller, FAULT_BUS)          \
    ATTACK(execute_own_memory, FAULT_EXECUTE)             \
    ATTACK(execute_window, FAULT_EXECUTE)                 \
    ATTACK(execute_flash, FAULT_EXECUTE)                  \
    ATTACK(execute_boot, FAULT_EXECUTE)                   \
    ATTACK(forge_exception_return, FAULT_EXECUTE)         \
    ATTACK(recurse_for_ever, FAULT_STACK)                 \
    ATTACK(call_with_stack_in_monitor, FAULT_STACK)       \
    ATTACK(call_with_stack_in_other_task, FAULT_STACK)    \
    ATTACK(call_with_stack_in_window, FAULT_STACK)        \
    ATTACK(call_with_stack_at_null, FAULT_STACK)          \
    ATTACK(wait_for_tick_with_stack_in_monitor, FAULT_STACK) \
    ATTACK(undefined_instruction, FAULT_USAGE)            \
    ATTACK(divide_by_zero, FAULT_USAGE)                   \
    ATTACK(leave_thumb_state, FAULT_USAGE)                \
    ATTACK(breakpoint, FAULT_USAGE)                       \
    ATTACK(unknown_call, FAULT_SYSCALL)                   \
    ATTACK(call_of_a_service, FAULT_SYSCALL)              \
    ATTACK(raise_privilege_then_write_monitor, FAULT_MEMORY) \
    ATTACK(mask_interrupts_and_spin, FAULT_MEMORY)        \
    ATTACK(accuse_itself, FAULT_EXCEPTION)                \
    ATTACK(claim_a_memory_fault, FAULT_EXCEPTION)         \
    ATTACK(out_of_memory, FAULT_OUT_OF_MEMORY)

enum attack {
#define ATTACK_NUMBER(name, reason) name,
    ATTACKS(ATTACK_NUMBER)
#undef ATTACK_NUMBER
    ATTACK_COUNT
};

// An order to make so many calls with arguments by chance; the answer is how many gave something but an error.
#define FUZZ 99u
#define FUZZ_CALLS 20000u

// Not attacks but calls with arguments that are not the caller's to give, numbered from here. Before each the attacker
// has taken the request that it owes a reply, and filled the queue to the secret enclave.
#define PROBES 100u
#define PROBE_LIST(PROBE)                                                                                       \
    PROBE(send_from_monitor, SYS_SEND, FLOODED, RAM(0x800u), 4, ERR_POINTER)                                    \
    PROBE(send_from_other_task, SYS_SEND, FLOODED, TASK_MEMORY(SECRET), 4, ERR_POINTER)                         \
    PROBE(send_from_secrets, SYS_SEND, FLOODED, FLASH(BOARD_SECRETS_OFFSET), 8, ERR_POINTER)                    \
    PROBE(send_across_own_end, SYS_SEND, FLOODED, TASK_MEMORY(ATTACKER) + 0xFF8u, 16, ERR_POINTER)              \
    PROBE(send_before_own_start, SYS_SEND, FLOODED, TASK_MEMORY(ATTACKER) - 4u, 8, ERR_POINTER)                 \
    PROBE(send_wrapping_round, SYS_SEND, FLOODED, 0xFFFFFFF8u, 16, ERR_POINTER)                                 \
    PROBE(send_from_null, SYS_SEND, FLOODED, 0, 4, ERR_POINTER)                                                 \
    PROBE(send_too_long, SYS_SEND, FLOODED, TASK_MEMORY(ATTACKER), 25, ERR_SIZE)                                \
    PROBE(send_huge, SYS_SEND, FLOODED, TASK_MEMORY(ATTACKER), 0xFFFFFFFFu, ERR_SIZE)                           \
    PROBE(send_empty, SYS_SEND, FLOODED, TASK_MEMORY(ATTACKER), 0, ERR_SIZE)                                    \
    PROBE(send_on_other_channel, SYS_SEND, TICKS, TASK_MEMORY(ATTACKER), 4, ERR_DENIED)                         \
    PROBE(send_on_no_channel, SYS_SEND, 0x800000u, TASK_MEMORY(ATTACKER), 4, ERR_DENIED)                        \
    PROBE(send_on_huge_channel, SYS_SEND, 0x80000000u + FLOODED, TASK_MEMORY(ATTACKER), 4, ERR_DENIED)          \
    PROBE(receive_into_monitor, SYS_RECEIVE, COMMAND, RAM(0x800u), 24, ERR_POINTER)                             \
    PROBE(receive_into_image, SYS_RECEIVE, COMMAND, FLASH(0x200u), 24, ERR_POINTER)                             \
    PROBE(receive_into_device, SYS_RECEIVE, COMMAND, GPIO0, 24, ERR_POINTER)                                    \
    PROBE(receive_with_huge_capacity, SYS_RECEIVE, COMMAND, TASK_MEMORY(ATTACKER), 0xFFFFFFF0u, ERR_POINTER)    \
    PROBE(receive_other_channel, SYS_RECEIVE, SPINNER_SAYS, TASK_MEMORY(ATTACKER) + 0x900u, 24, ERR_DENIED)     \
    PROBE(receive_nothing, SYS_RECEIVE, COMMAND, TASK_MEMORY(ATTACKER) + 0x900u, 24, ERR_EMPTY)                 \
    PROBE(log_from_monitor, SYS_LOG, RAM(0x800u), 16, 0, ERR_POINTER)                                           \
    PROBE(log_huge, SYS_LOG, TASK_MEMORY(ATTACKER), 0xFFFFFF00u, 0, ERR_POINTER)                                \
    PROBE(wait_for_other_channel, SYS_WAIT, 1u << SPINNER_SAYS, 5, 0, 0)                                        \
    PROBE(send_to_trusted, SYS_SEND, UNTRUSTED, TASK_MEMORY(ATTACKER), 4, ERR_DENIED)                           \
    PROBE(send_to_trusted_by_vouching, SYS_SEND, VOUCHED, TASK_MEMORY(ATTACKER), 4, 0)                          \
    PROBE(vouch_for_too_much, SYS_SEND, VOUCHED, TASK_MEMORY(ATTACKER), 8, ERR_SIZE)                            \
    PROBE(call_with_buffer_in_monitor, SYS_CALL, ASKED, RAM(0x800u), 4u | 4u << 16, ERR_POINTER)                \
    PROBE(call_with_buffer_in_other_task, SYS_CALL, ASKED, TASK_MEMORY(SECRET), 4u | 4u << 16, ERR_POINTER)     \
    PROBE(call_with_buffer_in_window, SYS_CALL, ASKED, WINDOW, 4u | 4u << 16, ERR_POINTER)                      \
    PROBE(call_for_a_reply_across_own_end, SYS_CALL, ASKED, TASK_MEMORY(ATTACKER) + 0xFF0u, 4u | 24u << 16, ERR_POINTER)\
    PROBE(call_with_huge_request, SYS_CALL, ASKED, TASK_MEMORY(ATTACKER), 0xFFFFu, ERR_SIZE)                    \
    PROBE(call_on_other_channel, SYS_CALL, ASKING, TASK_MEMORY(ATTACKER), 4u | 4u << 16, ERR_DENIED)            \
    PROBE(call_on_a_queue, SYS_CALL, RESULT, TASK_MEMORY(ATTACKER), 4u | 4u << 16, ERR_DENIED)                  \
    PROBE(reply_from_monitor, SYS_REPLY, ASKING, RAM(0x800u), 4, ERR_POINTER)                                   \
    PROBE(reply_from_other_task, SYS_REPLY, ASKING, TASK_MEMORY(SECRET), 4, ERR_POINTER)                        \
    PROBE(reply_too_long, SYS_REPLY, ASKING, TASK_MEMORY(ATTACKER), 25, ERR_SIZE)                               \
    PROBE(reply_on_other_channel, SYS_REPLY, ASKED, TASK_MEMORY(ATTACKER), 0, ERR_DENIED)                       \
    PROBE(answer_into_monitor, SYS_ANSWER, ASKING, RAM(0x800u), NO_REPLY | 24u << 16, ERR_POINTER)              \
    PROBE(answer_into_window, SYS_ANSWER, ASKING, WINDOW, NO_REPLY | 24u << 16, ERR_POINTER)                    \
    PROBE(answer_on_other_channel, SYS_ANSWER, ASKED, TASK_MEMORY(ATTACKER), NO_REPLY | 24u << 16, ERR_DENIED)  \
    PROBE(dropped_of_other_channel, SYS_DROPPED, SPINNER_SAYS, 0, 0, ERR_DENIED)                                \
    PROBE(account_into_monitor, SYS_ACCOUNT, SELF, RAM(0x1000u), 0, ERR_POINTER)                                \
    PROBE(account_into_image, SYS_ACCOUNT, SELF, FLASH(0x200u), 0, ERR_POINTER)                                 \
    PROBE(account_of_secret, SYS_ACCOUNT, SECRET, TASK_MEMORY(ATTACKER) + 0x900u, 0, ERR_DENIED)                \
    PROBE(account_of_nobody, SYS_ACCOUNT, 99, TASK_MEMORY(ATTACKER) + 0x900u, 0, ERR_NOT_FOUND)                 \
    PROBE(learn_from_full_queue, SYS_SEND, LAUNDER, TASK_MEMORY(ATTACKER), 4, 0)

// Not refused, for each may be meant, but must cost nobody else anything. They end by themselves.
#define NUISANCES 200u
#define NUISANCE_LIST(NUISANCE)  \
    NUISANCE(spin_for_long)      \
    NUISANCE(yield_for_long)     \
    NUISANCE(flood_a_channel)

// A call that is not the attacker's to make: its number, from here.
#define FOREIGN_CALLS 300u

#endif
