// SPDX-License-Identifier: Apache-2.0
// An enclave in C that makes every call of SYS_DEVICE it should not, and says what each gave, one line each. It has pin
// p1, timer1 and a watchdog; another one, which only sleeps, has pin p2 and led0.
#include <stdbool.h>

#include "coffret/syscall.h"
#include "program.h"

static void say(const char *text) {
    uint32_t length = 0;
    while (text[length] != 0) {
        length++;
    }
    syscall3(SYS_PORT_WRITE, (uint32_t)text, length, 0);
}

static void say_result(const char *name, int32_t result) {
    char digits[] = " +0\n";
    digits[1] = result < 0 ? '-' : '+';
    digits[2] = (char)('0' + (result < 0 ? -result : result) % 10);
    say(name);
    say(digits);
}

static int32_t device(uint32_t call, uint32_t row, uint32_t b, uint32_t c) {
    return syscall3(SYS_DEVICE, call | row << 8, b, c);
}

static void count_events_of_an_interrupt_that_never_ends(void) {
    // The timer's interrupt stays raised, because nobody clears it: each wait gives it once.
    volatile uint32_t *timer = (volatile uint32_t *)TIMER1;
    timer[2] = timer[1] = 100u;
    timer[0] = 9u;
    uint32_t events = 0;
    for (uint32_t i = 0; i < 100u; i++) {
        device(DEVICE_CALL_WAIT, 1u << TIMER_EVENT, 0, 1000);
        events += device(DEVICE_CALL_EVENTS, 0, 0, 0) == 1 << TIMER_EVENT;
    }
    timer[0] = 0;
    say_result("storm", events == 100u ? 1 : 0);
}

// Whatever it asks for, only its own answers, and the monitor lives.
static void call_by_chance(void) {
    uint32_t state = 0x2545F491u;
    uint32_t taken = 0;
    for (uint32_t i = 0; i < 20000u; i++) {
        uint32_t argument[3];
        for (uint32_t n = 0; n < 3u; n++) {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            argument[n] = (state & 0x300u) == 0 ? state >> 28 : state; // small numbers often
        }
        uint32_t row = argument[0] >> 8 & ((i & 1u) != 0 ? 15u : 0xFFFFFFu);
        uint32_t call = argument[0] & 15u;
        bool is_about_a_row = call > DEVICE_CALL_EVENTS;
        if (call == DEVICE_CALL_WAIT || (call == DEVICE_CALL_WATCHDOG && row == OWN_WATCHDOG)) {
            continue; // would end the test, not the monitor
        }
        int32_t result = syscall3(SYS_DEVICE, call | row << 8, argument[1], argument[2]);
        taken += result >= 0 && is_about_a_row && row > OWN_SETTINGS;
    }
    say_result("chance", (int32_t)taken);
}

_Noreturn void prober(const struct task *self) {
    static const char constant[8] = "constant";
#define PROBE(name, call, row, b, c) say_result(#name, device(call, row, b, c));
    PROBE(own_pin, DEVICE_CALL_PIN_SET, OWN_PIN, PIN_HIGH, 0)
    PROBE(others_pin, DEVICE_CALL_PIN_SET, OTHERS_PIN, PIN_HIGH, 0)
    PROBE(others_pin_read, DEVICE_CALL_PIN_GET, OTHERS_PIN, 0, 0)
    PROBE(others_led, DEVICE_CALL_PIN_MODE, OTHERS_LED, PIN_OUTPUT, PIN_HIGH)
    PROBE(row_behind_the_table, DEVICE_CALL_PIN_SET, ROWS, PIN_HIGH, 0)
    PROBE(huge_row, DEVICE_CALL_PIN_SET, 0xFFFFFFu, PIN_HIGH, 0)
    PROBE(unknown_operation, 0xEEu, OWN_PIN, 0, 0)
    PROBE(pin_call_on_a_timer, DEVICE_CALL_PIN_SET, OWN_TIMER, PIN_HIGH, 0)
    PROBE(watchdog_call_on_a_pin, DEVICE_CALL_WATCHDOG, OWN_PIN, 5, 0)
    PROBE(function_it_may_have, DEVICE_CALL_PIN_FUNCTION, OWN_PIN, 0, 0)
    PROBE(function_of_a_device_it_lacks, DEVICE_CALL_PIN_FUNCTION, OWN_PIN, 1, 0)
    PROBE(function_beyond_the_mask, DEVICE_CALL_PIN_FUNCTION, OWN_PIN, 32, 0)
    PROBE(huge_function, DEVICE_CALL_PIN_FUNCTION, OWN_PIN, 0xFFFFFFFFu, 0)
    PROBE(unknown_mode, DEVICE_CALL_PIN_MODE, OWN_PIN, 77, 0)
    PROBE(identity_not_granted, DEVICE_CALL_IDENTITY, OWN_WATCHDOG, (uint32_t)constant, 8)
    PROBE(identity_of_another, DEVICE_CALL_IDENTITY, OTHERS_IDENTITY, (uint32_t)constant, 8)
    PROBE(identity_into_the_image, DEVICE_CALL_IDENTITY, OWN_IDENTITY, (uint32_t)constant, 8)
    PROBE(identity_into_the_monitor, DEVICE_CALL_IDENTITY, OWN_IDENTITY, RAM(0x800u), 8)
    PROBE(identity_into_a_device, DEVICE_CALL_IDENTITY, OWN_IDENTITY, TIMER1, 8)
    PROBE(identity_too_short, DEVICE_CALL_IDENTITY, OWN_IDENTITY, RAM(0x800u), 7)
    PROBE(settings_of_another, DEVICE_CALL_SETTINGS, OTHERS_SETTINGS, (uint32_t)constant, 8)
    PROBE(settings_into_the_image, DEVICE_CALL_SETTINGS, OWN_SETTINGS, (uint32_t)constant, 8)
    PROBE(settings_into_the_monitor, DEVICE_CALL_SETTINGS, OWN_SETTINGS, RAM(0x800u), 8)
    PROBE(settings_through_an_identity, DEVICE_CALL_SETTINGS, OWN_IDENTITY, (uint32_t)self, 0)
    PROBE(no_settings, DEVICE_CALL_SETTINGS, OWN_SETTINGS, self->memory_base, 8)
    PROBE(trigger_of_a_pin_without_one, DEVICE_CALL_PIN_TRIGGER, OWN_PIN, PIN_RISING, 0)
    PROBE(events_of_nobody, DEVICE_CALL_EVENTS, 0, 0, 0)
    PROBE(listen_to_what_is_not_its_own, DEVICE_CALL_WAIT, 0xFFFFFFu & ~(1u << TIMER_EVENT), 0, 2)
    count_events_of_an_interrupt_that_never_ends();
    call_by_chance();
    say("then a device that is not its own\n");
    *(volatile uint32_t *)GPIO0 = 0xFFFFFFFFu;
    say("not reached\n");
    for (;;) {
    }
}

_Noreturn void owner(const struct task *self) {
    (void)self;
    for (;;) {
        syscall3(SYS_WAIT, 0, 0xFFFFFFFFu, 0);
    }
}
