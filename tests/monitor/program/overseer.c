// SPDX-License-Identifier: Apache-2.0
// In the place of the controller, for a monitor without one of its defences: the host orders one thing at a time, for
// nobody knows what is left behind it.
#include "orders.h"
#include "report.h"

// Up to the end of the line: a read gives what has come by then, which may be half a number.
static uint32_t read_number(void) {
    uint32_t number = 0;
    for (;;) {
        uint8_t digit = 0;
        if (syscall3(SYS_PORT_READ, (uint32_t)&digit, 1, FOREVER) != 1) {
            continue;
        }
        if (digit == '\n') {
            return number;
        }
        number = number * 10u + digit - '0';
    }
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
