// SPDX-License-Identifier: Apache-2.0
// The test program: native enclaves that misbehave on purpose, watched by a service that reports to the host.
#ifndef PROGRAM_H
#define PROGRAM_H

#include "board_config.h"
#include "coffret/syscall.h"
#include "coffret/tables.h"

// Places in the board's memories, the same on every board.
#define RAM(offset) (BOARD_RAM_BASE + (offset))
#define FLASH(offset) (BOARD_FLASH_BASE + (offset))
#ifdef BOARD_SECURE_WORLD // mps2-an505
#define GPIO0 0x40100000u
#else // mps2-an385
#define GPIO0 0x40010000u
#endif

#define FOREVER 0xFFFFFFFFu
#define PULSE 0x45534C50u // what the secret enclave keeps at PULSE_PLACE of its memory
#define PULSE_PLACE 0x900u

enum program_task { ATTACKER, TICKER, LISTENER, SECRET, SPINNER_A, SPINNER_B, ONCE, ALWAYS, NATIVE, CALLER, CONTROLLER, ATTESTER, TASKS };

enum program_channel {
    COMMAND,            // controller -> attacker: which attack
    RESULT,             // attacker -> controller: what a call answered
    TICKS,              // ticker -> listener
    ASK_LISTENER,
    LISTENER_SAYS,
    ASK_SECRET,
    SECRET_SAYS,        // secret -> controller by a gate that releases both tags
    SECRET_TO_LISTENER, // a lower label: refused
    SECRET_TO_SINK,     // the sink accepts one of the two tags: refused
    SECRET_GATE,        // the gate releases the other: allowed
    OTHERS_GATE,        // a gate of the ticker's: refused
    HALF_GATE,          // releases the tag that the sink accepts anyway, not the other: refused
    UNTRUSTED,          // the receiver has an integrity tag: refused
    VOUCHED,            // by a gate that vouches for it: allowed
    SPINNER_SAYS,
    OTHER_SPINNER_SAYS,
    NATIVE_SAYS,
    PUBLIC_TO_SINK,     // listener -> sink
    FLOODED,            // attacker -> listener, who never reads it
    BEHIND_FLOODED,     // ticker -> listener, never used: its queue lies behind
    LAUNDER,            // attacker -> secret, who never reads it: that it is full is a secret
    ASKING,             // caller -> attacker, a call: never answered
    ASKED,              // attacker -> spinner, a call: never taken
    CHANNELS
};

void attacker(const struct task *self);
void ticker(const struct task *self);
void listener(const struct task *self);
void secret(const struct task *self);
void spinner(const struct task *self);
void once(const struct task *self);
void always(const struct task *self);
void native(const struct task *self);
void caller(const struct task *self);
void controller(const struct task *self);
void attester_stand_in(const struct task *self);

// The address of a task's memory, and how much each has.
#define TASK_MEMORY(number) (RAM(0x10000u) + (number) * 0x1000u)
#define TASK_MEMORY_SIZE 0x1000u
#define TASK_STACK 0x400u
#define QUEUE(number) (RAM(0x8400u) + (number) * 0x100u)
#define WINDOW RAM(0x8000u)
#define WINDOW_SIZE 0x400u

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
