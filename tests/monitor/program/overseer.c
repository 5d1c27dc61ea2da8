// SPDX-License-Identifier: Apache-2.0
// In the place of the controller, for a monitor without one of its defences: the host orders one thing at a time, for
// nobody knows what is left behind it.
#include "orders.h"
#include "report.h"

static uint32_t read_number(void) {
    uint8_t line[16];
    int32_t length = syscall3(SYS_PORT_READ, (uint32_t)line, sizeof line, FOREVER);
    uint32_t number = 0;
    for (int32_t i = 0; i < length && line[i] >= '0' && line[i] <= '9'; i++) {
        number = number * 10u + line[i] - '0';
    }
    return number;
}

void controller(const struct task *self) {
    (void)self;
    sleep_ms(100); // all others have run
    for (;;) {
        say("order", 1);
        uint32_t number = read_number();
        if (number >= NUISANCES && number < FOREIGN_CALLS) {
            say("messages", (int32_t)order_nuisance(number - NUISANCES));
        } else if (number >= PROBES && number < NUISANCES) {
            say("answer", order_probe(number - PROBES));
        } else {
            struct outcome outcome = order_attack(number);
            put("outcome");
            put_number(outcome.reason);
            put_number(outcome.survived);
            put_number((int32_t)outcome.word);
            end_line();
        }
        say("faults", (int32_t)info_of(ATTACKER).faults);
        say("listener", (int32_t)messages_of_listener());
        say("done", 1);
    }
}
