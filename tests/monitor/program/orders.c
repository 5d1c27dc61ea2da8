// SPDX-License-Identifier: Apache-2.0
#include "orders.h"

struct task_info info_of(uint32_t task) {
    struct task_info info;
    syscall3(SYS_TASK_INFO, task, (uint32_t)&info, 0);
    return info;
}

struct outcome order_attack(uint32_t number) {
    struct task_info before = info_of(ATTACKER), after = before;
    struct outcome outcome = {.reason = -1};
    uint32_t word;
    while (syscall3(SYS_RECEIVE, RESULT, (uint32_t)&word, sizeof word) > 0) {
        outcome.was_dirty = true;
    }
    send_word(COMMAND, number);
    for (uint32_t waited = 0; waited < 500 && after.faults == before.faults && !outcome.survived; waited++) {
        sleep_ms(1);
        after = info_of(ATTACKER);
        outcome.survived = syscall3(SYS_RECEIVE, RESULT, (uint32_t)&outcome.word, sizeof outcome.word) > 0;
    }
    for (uint32_t waited = 0; waited < 500 && info_of(ATTACKER).state == 3; waited++) {
        sleep_ms(1);
    }
    if (after.faults - before.faults == 1) {
        outcome.reason = after.last_fault;
    }
    outcome.runs_again = info_of(ATTACKER).state <= 1;
    return outcome;
}

int32_t order_probe(uint32_t number) {
    uint32_t word = 0x7FFFu;
    send_word(COMMAND, PROBES + number);
    receive_word(RESULT, &word, 200);
    return (int32_t)word;
}

uint32_t messages_of_listener(void) {
    uint32_t words[3] = {0};
    send_word(ASK_LISTENER, 1);
    syscall3(SYS_WAIT, 1u << LISTENER_SAYS, 2000, 0);
    syscall3(SYS_RECEIVE, LISTENER_SAYS, (uint32_t)words, sizeof words);
    return words[0];
}

uint32_t order_nuisance(uint32_t number) {
    uint32_t word, before = messages_of_listener();
    send_word(COMMAND, NUISANCES + number);
    receive_word(RESULT, &word, 5000);
    return messages_of_listener() - before;
}
