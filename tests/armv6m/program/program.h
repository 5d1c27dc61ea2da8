// SPDX-License-Identifier: Apache-2.0
// An enclave that misbehaves, one that counts beside it, and a service that orders and reports.
#ifndef PROGRAM_H
#define PROGRAM_H

#include "board_config.h"
#include "coffret/syscall.h"
#include "coffret/tables.h"

enum program_task { ATTACKER, COUNTER, NATIVE, CONTROLLER, ATTESTER, TASKS };
enum program_channel { COMMAND, RESULT, COUNTS, NATIVE_SAYS, CHANNELS };

void attacker(const struct task *self);
void counter(const struct task *self);
void native(const struct task *self);
void controller(const struct task *self);
void attester_stand_in(const struct task *self);

// Places, the same in rig.py.
#define RAM(offset) (BOARD_RAM_BASE + (offset))
#define FLASH(offset) (BOARD_FLASH_BASE + (offset))
#define TASK_MEMORY(number) (RAM(0x10000u) + (number) * 0x1000u)
#define TASK_MEMORY_SIZE 0x1000u
#define TASK_STACK 0x400u
#define WINDOW RAM(0x8000u)
#define WINDOW_SIZE 0x400u
#define QUEUE(number) (RAM(0x8400u) + (number) * 0x100u)
#define SIO 0xD0000000u
#define UART1 0x40038000u
#define FOREVER 0xFFFFFFFFu

static inline int32_t receive_word(uint32_t channel, uint32_t *word, uint32_t timeout_ms) {
    int32_t length;
    while ((length = syscall3(SYS_RECEIVE, channel, (uint32_t)word, sizeof *word)) == ERR_EMPTY) {
        if (syscall3(SYS_WAIT, 1u << channel, timeout_ms, 0) == 0) {
            return ERR_EMPTY;
        }
    }
    return length;
}
static inline int32_t send_word(uint32_t channel, uint32_t word) {
    return syscall3(SYS_SEND, channel, (uint32_t)&word, sizeof word);
}
static inline void sleep_ms(uint32_t ms) {
    syscall3(SYS_WAIT, 0, ms, 0);
}

#endif
