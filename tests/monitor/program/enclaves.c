// SPDX-License-Identifier: Apache-2.0
// Enclaves that do their work while another misbehaves. Their statics lie in the window: one variable in the
// image, a value for each of them.
#include "program.h"

static uint32_t mine;           // counted by several; each must see its own
static uint32_t filling[100];   // makes the window worth switching

struct report {
    uint32_t received, missed, mixed;
};

void ticker(const struct task *self) {
    (void)self;
    for (uint32_t sequence = 1;; sequence++) {
        mine = sequence;
        filling[99] = ~sequence;
        sleep_ms(2);
        send_word(TICKS, mine == sequence && filling[99] == ~sequence ? sequence : 0);
    }
}

void listener(const struct task *self) {
    (void)self;
    struct report report = {0};
    uint32_t expected = 0;
    for (;;) {
        uint32_t ready = (uint32_t)syscall3(SYS_WAIT, 1u << TICKS | 1u << ASK_LISTENER, FOREVER, 0);
        uint32_t word;
        if (ready & 1u << TICKS) {
            receive_word(TICKS, &word, 0);
            report.missed += expected != 0 && word != expected;
            expected = word + 1u;
            report.received++;
            report.mixed += mine != report.received - 1u;
            mine = report.received;
        }
        if (ready & 1u << ASK_LISTENER) {
            receive_word(ASK_LISTENER, &word, 0);
            static const char text[] = "listener speaks";
            syscall3(SYS_LOG, (uint32_t)text, sizeof text - 1u, 0);
            syscall3(SYS_SEND, PUBLIC_TO_SINK, (uint32_t)"hello", 5);
            syscall3(SYS_SEND, LISTENER_SAYS, (uint32_t)&report, sizeof report);
        }
    }
}

void secret(const struct task *self) {
    *(volatile uint32_t *)(self->memory_base + PULSE_PLACE) = PULSE;
    for (;;) {
        uint32_t order;
        if (receive_word(ASK_SECRET, &order, FOREVER) < 0) {
            continue;
        }
        static const char text[] = "the pulse is 61";
        syscall3(SYS_LOG, (uint32_t)text, sizeof text - 1u, 0);
        if (order == 0xFFFFu) {
            *(volatile uint32_t *)0x61616160u = 1; // an address is data too
        }
        int32_t result = syscall3(SYS_SEND, order, (uint32_t)"mean", 4);
        send_word(SECRET_SAYS, (uint32_t)result);
    }
}

// Two of these at the lowest priority share what is left.
void spinner(const struct task *self) {
    uint32_t to = self->priority == 12 && self == &coffret_tasks[SPINNER_A] ? SPINNER_SAYS : OTHER_SPINNER_SAYS;
    send_word(to, 1);
    // r12 holds a call that nobody has: were a call of another task's ever made in this one, it would end.
    __asm__ volatile("mov r12, #200\n 1: b 1b\n" ::: "r12");
}

void once(const struct task *self) {
    (void)self; // returns: an exit, and its policy is never
}

void always(const struct task *self) {
    (void)self;
    sleep_ms(1);
}

// Has a device; shows that a grant opens just that.
void native(const struct task *self) {
    volatile uint32_t *gpio = (volatile uint32_t *)GPIO0;
    gpio[4] = 1; // output enable set; QEMU has nothing behind the registers, but it is no fault
    (void)gpio[4];
    send_word(NATIVE_SAYS, (uint32_t)(self - coffret_tasks));
    sleep_ms(50);
    (void)*(volatile uint32_t *)(GPIO0 + 0x1000u); // the next device
}

// Asks the attacker, who owes it the reply from then on.
void caller(const struct task *self) {
    (void)self;
    for (;;) {
        uint32_t words[6] = {0};
        syscall3(SYS_CALL, ASKING, (uint32_t)words, sizeof words[0] | sizeof words << 16);
    }
}
