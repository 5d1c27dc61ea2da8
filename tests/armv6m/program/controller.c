// SPDX-License-Identifier: Apache-2.0
// Orders each attack, watches what the monitor makes of it, and tells the host, one line a fact: `name value [value]`.
#include "attacks.h"
#include "program.h"

static struct {
    char line[128];
    uint32_t length;
} out __attribute__((section(".manager.bss")));

static void put(const char *text) {
    while (*text != 0 && out.length < sizeof out.line) {
        out.line[out.length++] = *text++;
    }
}
static void put_number(uint32_t value) {
    char digits[12];
    uint32_t count = 0;
    do {
        digits[count++] = (char)('0' + value % 10u);
        value /= 10u;
    } while (value != 0);
    put(" ");
    while (count != 0) {
        char digit[2] = {digits[--count], 0};
        put(digit);
    }
}
static void flush(void) {
    put("\n");
    syscall3(SYS_PORT_WRITE, (uint32_t)out.line, out.length, 0);
    out.length = 0;
}
static void say(const char *name, uint32_t value) {
    put(name);
    put_number(value);
    flush();
}

static struct task_info info_of(uint32_t task) {
    struct task_info info;
    syscall3(SYS_TASK_INFO, task, (uint32_t)&info, 0);
    return info;
}

// name reason-found reason-expected restarted
static void attack(const char *name, uint32_t number, uint32_t expected) {
    struct task_info before = info_of(ATTACKER);
    uint32_t word;
    while (syscall3(SYS_RECEIVE, RESULT, (uint32_t)&word, 4) > 0) {
        say("dirty", number); // the life after the attack before found something
    }
    send_word(COMMAND, number);
    struct task_info after = before;
    for (uint32_t waited = 0; waited < 500 && after.faults == before.faults; waited++) {
        sleep_ms(1);
        after = info_of(ATTACKER);
        if (syscall3(SYS_RECEIVE, RESULT, (uint32_t)&word, 4) > 0) {
            say("survived", number);
            break;
        }
    }
    for (uint32_t waited = 0; waited < 500 && info_of(ATTACKER).state == 3; waited++) {
        sleep_ms(1);
    }
    put("attack ");
    put(name);
    put_number(after.faults - before.faults == 1 ? after.last_fault : 99u);
    put_number(expected);
    put_number(info_of(ATTACKER).state <= 1); // runs again
    flush();
}

static void use_flash(void) {
    uint32_t word = 0xC0FFEEu;
    say("flash erase", (uint32_t)syscall3(SYS_FLASH_ERASE, 0, 0x1000, 0));
    say("flash program", (uint32_t)syscall3(SYS_FLASH_PROGRAM, 0x200, (uint32_t)&word, 4));
    say("flash put", (uint32_t)syscall3(SYS_STORE_PUT, 4, (uint32_t)"endorsed", 8));
}

void controller(const struct task *self) {
    (void)self;
    uint32_t word = 0, counted = 0, wrong = 0, last = 0;
    receive_word(NATIVE_SAYS, &word, 200);
    say("native pins", word);
    use_flash();
#define ATTACK_ORDER(name, reason) attack(#name, name, reason);
    ATTACKS(ATTACK_ORDER)
#undef ATTACK_ORDER
    while (receive_word(COUNTS, &word, 0) > 0) { // what the queue holds from before
    }
    for (uint32_t i = 0; i < 50; i++) {
        if (receive_word(COUNTS, &word, 20) > 0) {
            wrong += word == 0xFFFFFFFFu || (last != 0 && word != last + 1u);
            last = word;
            counted++;
        }
    }
    say("counter heard", counted);
    say("counter wrong", wrong);
    for (uint32_t task = 0; task < TASKS; task++) {
        put("task ");
        put(coffret_tasks[task].name);
        put_number(info_of(task).faults);
        put_number(info_of(task).restarts);
        flush();
    }
    use_flash();
    say("done", 1);
    for (;;) {
        sleep_ms(1000);
    }
}

void attester_stand_in(const struct task *self) {
    (void)self;
    for (;;) {
        sleep_ms(1000);
    }
}
