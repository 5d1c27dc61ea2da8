// SPDX-License-Identifier: Apache-2.0
// A signed image that is hostile from its first instruction: the whole Non-secure side, taken over. It obeys orders from
// the management port, one a line, and answers each with one line. Addresses and numbers are 8 hex digits.
#include <string.h>

#include "board_config.h"
#include "coffret/board.h"
#include "gateways.h"
#include "image_facts.h"
#include "registers.h"

extern uint32_t __stack_top[], __bss_start[], __bss_end[], __unprivileged_top[];

static void reset(void);
static void ended(void);
static void ticked(void);

// What the image says of itself: the Secure world must have read it before the first instruction here.
static const struct system_counts counts = {.components = 2};
static const struct component components[] = {
    {.type = "runtime", .version = "0.1.0", .digest = {1, 2, 3}},
    {.type = "enclave:sensor", .version = "1.2.3", .digest = {4}},
};
static const char version[] = "1.2.3";
static const struct image_facts facts = {IMAGE_FACTS_MAGIC, &counts, components, version};

__attribute__((section(".vectors"), used)) static const struct {
    uint32_t *stack;
    void (*first[7])(void);
    const struct image_facts *facts;
    void (*rest[7])(void);
} vectors = {__stack_top, {reset, ended, ended, ended, ended, ended, ended}, &facts,
             {ended, ended, ended, ended, ended, ended, ticked}};

// ---- an attempt: ends by SVC when it succeeded, else by a fault ----

static struct {
    uint32_t arguments[4];  // for the attempt: a, b, c, address
    uint32_t results[5];    // r0-r3, r12 behind a call
    uint32_t main_stack;    // where to go on
    uint32_t forged;        // EXC_RETURN to end it with instead
    uint32_t exception, status, address;
    uint32_t ticks, in_secure, dirty, nested;
    uint32_t interloper;    // address that another thread jumps to while a gateway is interrupted; 0: none
    uint32_t suspended[2];  // EXC_RETURN and main stack of what it interrupted
    uint32_t outcome;       // exception that ended it
} shared;

static uint8_t buffer[0x1000];

__attribute__((used)) static void note(uint32_t exception) {
    shared.exception = exception;
    shared.status = fault_status();
    shared.address = fault_memory_address();
    fault_clear(shared.status);
}

__attribute__((naked)) static void ended(void) {
    __asm__ volatile("mrs r0, ipsr\n"
                     "bl note\n"
                     "ldr r4, =shared\n"
                     "ldr r0, [r4, #76]\n"     // suspended
                     "cbz r0, 1f\n"
                     "ldr r1, [r4, #80]\n"
                     "msr msp, r1\n"
                     "movs r1, #0\n"
                     "str r1, [r4, #72]\n"
                     "str r1, [r4, #76]\n"
                     "ldr r1, [r4, #44]\n"     // exception
                     "str r1, [r4, #84]\n"
                     "mov lr, r0\n"
                     "bx lr\n"
                     "1:\n"
                     "ldr r0, [r4, #36]\n"      // main_stack
                     "msr msp, r0\n"
                     "movs r0, #0\n"
                     "msr control, r0\n"
                     "ldr lr, [r4, #40]\n"      // forged
                     "cmp lr, #0\n"
                     "it eq\n"
                     "ldreq lr, =0xFFFFFFB8\n"  // Non-secure, thread mode, main stack
                     "bx lr\n"
                     ".ltorg\n");
}

// `stack` 0: privileged, on the main stack; else unprivileged, on that one.
__attribute__((naked, noinline)) static void attempt(__attribute__((unused)) void (*what)(void),
                                                     __attribute__((unused)) uint32_t stack) {
    __asm__ volatile("push {r4-r11, lr}\n"
                     "sub sp, #36\n"            // the frame that `ended` returns by: to label 1
                     "ldr r2, =1f\n"
                     "str r2, [sp, #24]\n"
                     "mov r2, #0x01000000\n"
                     "str r2, [sp, #28]\n"
                     "ldr r2, =shared\n"
                     "mov r3, sp\n"
                     "str r3, [r2, #36]\n"
                     "cbz r1, 2f\n"
                     "msr psp, r1\n"
                     "movs r1, #3\n"
                     "msr control, r1\n"
                     "isb\n"
                     "2: bx r0\n"
                     ".align 2\n"
                     ".thumb_func\n"
                     "1: add sp, #4\n"
                     "pop {r4-r11, pc}\n"
                     ".ltorg\n");
}

__attribute__((naked)) static void do_load(void) {
    __asm__ volatile("ldr r4, =shared\n ldr r0, [r4]\n ldr r0, [r0]\n str r0, [r4, #16]\n svc 0\n .ltorg\n");
}
__attribute__((naked)) static void do_store(void) {
    __asm__ volatile("ldr r4, =shared\n ldm r4, {r0, r1}\n str r1, [r0]\n dsb\n svc 0\n .ltorg\n");
}
__attribute__((naked)) static void do_call(void) {
    __asm__ volatile("ldr r4, =shared\n"
                     "ldm r4, {r0, r1, r2, r12}\n"
                     "movs r3, #0\n"
                     "ldr lr, =1f\n"
                     "bx r12\n" // not BLX: that one returns to no Secure function
                     ".align 2\n"
                     ".thumb_func\n"
                     "1: ldr r4, =shared\n"
                     "add r5, r4, #16\n"
                     "stm r5, {r0, r1, r2, r3, r12}\n"
                     "svc 0\n"
                     ".ltorg\n");
}

// ---- the clock: interrupts whatever runs, the Secure world among it ----

static int gateway(uint32_t number, uint32_t a, uint32_t b, uint32_t c) {
    return ((int (*)(uint32_t, uint32_t, uint32_t))GATEWAY_ADDRESS(number))(a, b, c);
}

// `seen`: r4-r11, one OR the other, when it came. In handler mode, try to go in too.
__attribute__((used)) static void tick(uint32_t seen, uint32_t exception_return) {
    shared.ticks++;
    if (exception_return & 0x40u) {
        shared.in_secure++;
        shared.dirty |= seen;
        if (shared.in_secure == 5u) { // well inside: the first ones may come before the gateway has closed itself
            shared.nested = (uint32_t)gateway(GATEWAY_ATTEST, (uint32_t)buffer, 32u, (uint32_t)buffer + 0x800u);
        }
    }
}
__attribute__((naked)) static void ticked(void) {
    __asm__ volatile("ldr r0, =shared\n"
                     "ldr r1, [r0, #72]\n"      // interloper
                     "cbz r1, 1f\n"
                     "tst lr, #0x40\n"
                     "bne interlope\n"
                     "1: orr r0, r4, r5\n"
                     "orr r0, r6\n"
                     "orr r0, r7\n"
                     "orr r0, r8\n"
                     "orr r0, r9\n"
                     "orr r0, r10\n"
                     "orr r0, r11\n"
                     "mov r1, lr\n"
                     "b tick\n"
                     ".ltorg\n");
}

// r0: shared. The gateway stays interrupted; in its stead a thread runs that makes the jump. `ended` goes on with the
// gateway.
__attribute__((naked, used)) static void interlope(void) {
    __asm__ volatile("mov r2, sp\n"
                     "str lr, [r0, #76]\n"
                     "str r2, [r0, #80]\n"
                     "ldr r3, =0x01000000\n"    // the thread's frame: xPSR, pc, lr
                     "ldr r2, =1f\n"
                     "push {r3}\n"
                     "push {r2}\n"
                     "sub sp, #24\n"
                     "str r1, [sp, #16]\n"      // r12: the address
                     "ldr lr, =0xFFFFFFB8\n"
                     "bx lr\n"
                     ".align 2\n"
                     ".thumb_func\n"
                     "1: bx r12\n"
                     ".ltorg\n");
}

// ---- the port ----

static void say(const char *text) { board_port_write((const uint8_t *)text, strlen(text)); }
static void say_byte(uint8_t byte) {
    char pair[2] = {"0123456789abcdef"[byte >> 4], "0123456789abcdef"[byte & 15]};
    board_port_write((const uint8_t *)pair, 2);
}
static void say_number(uint32_t number) {
    say(" ");
    for (int shift = 24; shift >= 0; shift -= 8) {
        say_byte((uint8_t)(number >> shift));
    }
}
static uint8_t nibble(char c) { return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10); }
// The n-th number of an order.
static uint32_t number_of(const char *line, uint32_t n) {
    uint32_t value = 0;
    for (uint32_t i = 0; i < 8; i++) {
        value = value << 4 | nibble(line[2 + 9 * n + i]);
    }
    return value;
}

// "ok VALUES", or the exception with its status and address: 4 memory, 5 bus, 6 usage, 3 hard.
static void report(uint32_t values) {
    if (shared.exception != EXCEPTION_SVCALL) {
        say("fault");
        say_number(shared.exception);
        say_number(shared.status);
        say_number(shared.address);
    } else {
        say("ok");
        for (uint32_t i = 0; i < values; i++) {
            say_number(shared.results[i]);
        }
    }
    say("\n");
}

// How often `length` bytes of the buffer occur in memory from `base` to `end`.
static uint32_t occurrences(uint32_t base, uint32_t end, uint32_t length) {
    uint32_t found = 0;
    for (const uint8_t *at = (const uint8_t *)base; at <= (const uint8_t *)end - length; at++) {
        found += at != buffer && *at == buffer[0] && memcmp(at, buffer, length) == 0;
    }
    return found;
}

static void call(const char *line, uint32_t stack) {
    for (uint32_t i = 0; i < 3; i++) {
        shared.arguments[i] = number_of(line, 1 + i);
    }
    shared.arguments[3] = GATEWAY_ADDRESS(number_of(line, 0));
    attempt(do_call, stack);
    report(5);
}

// Code of this image and its RAM, as a task would have them; the last argument: a region over boot too.
static void call_unprivileged(const char *line) {
    mpu_disable();
    mpu_set_memory_kinds();
    mpu_set_region(0, BOARD_MPU_SLOT_A_RBAR, BOARD_MPU_SLOT_A_RLAR);
    mpu_set_region(1, (uint32_t)__bss_start | 3u, ((uint32_t)__unprivileged_top - 32u) | 1u);
    mpu_clear_region(2);
    if (number_of(line, 4) != 0u) {
        mpu_set_region(2, BOARD_BOOT_BASE | 6u, (BOARD_BOOT_BASE + BOARD_BOOT_SIZE - 32u) | 1u);
    }
    mpu_enable();
    call(line, (uint32_t)__unprivileged_top);
    mpu_disable();
}

static void obey(const char *line) {
    uint32_t a = number_of(line, 0), b = number_of(line, 1);
    shared.arguments[0] = a;
    shared.arguments[1] = b;
    switch (line[0]) {
    case 'l': // load A
        attempt(do_load, 0);
        report(1);
        break;
    case 's': // store B at A
        attempt(do_store, 0);
        report(0);
        break;
    case 'j': // call A
        shared.arguments[3] = a;
        attempt(do_call, 0);
        report(0);
        break;
    case 'g': // gateway N with A B C
        call(line, 0);
        break;
    case 'u': // the same, unprivileged; last: with a region over boot
        call_unprivileged(line);
        break;
    case 'e': // return from an exception by A
        shared.forged = a;
        attempt(do_load, 0);
        shared.forged = 0;
        say("returned\n");
        break;
    case 't': // attest with a clock of A cycles: ticks, in the Secure world, registers seen there, nested call, reply
        shared.ticks = shared.in_secure = shared.dirty = shared.nested = 0;
        systick_start(a);
        shared.results[4] = (uint32_t)gateway(GATEWAY_ATTEST, (uint32_t)buffer, 32u, (uint32_t)buffer + 0x800u);
        systick_stop();
        shared.results[0] = shared.ticks;
        shared.results[1] = shared.in_secure;
        shared.results[2] = shared.dirty;
        shared.results[3] = shared.nested;
        shared.exception = EXCEPTION_SVCALL;
        report(5);
        break;
    case 'i': // attest, and jump to A from another thread meanwhile: how that ended, reply
        shared.interloper = a;
        shared.outcome = 0;
        systick_start(2000);
        shared.results[1] = (uint32_t)gateway(GATEWAY_ATTEST, (uint32_t)buffer, 32u, (uint32_t)buffer + 0x800u);
        systick_stop();
        shared.results[0] = shared.outcome;
        shared.exception = EXCEPTION_SVCALL;
        report(2);
        break;
    case 'f': // how often are the buffer's first A bytes in the memory from B to C?
        say("ok");
        say_number(occurrences(b, number_of(line, 2), a));
        say("\n");
        break;
    case 'b': // 32 bytes into the buffer at A
        for (uint32_t i = 0; i < 32; i++) {
            buffer[a + i] = (uint8_t)(nibble(line[11 + 2 * i]) << 4 | nibble(line[12 + 2 * i]));
        }
        say("ok\n");
        break;
    case 'd': // B bytes from A
        say("ok ");
        for (uint32_t i = 0; i < b; i++) {
            say_byte(((const uint8_t *)a)[i]);
        }
        say("\n");
        break;
    case 'r':
        board_port_flush();
        board_reset();
    case 'n': // take no faults: as a monitor that was never started
        scs_write(SCS_SHCSR, 0u);
        say("ok\n");
        break;
    default:
        say("what\n");
    }
}

__attribute__((noreturn)) void intruder_main(void);
void intruder_main(void) {
    board_init();
    scb_enable_faults();
    say("READY");
    say_number((uint32_t)buffer);
    say_number((uint32_t)components);
    say("\n");
    char line[120];
    size_t length = 0;
    for (;;) {
        uint8_t byte;
        if (board_port_read(&byte, 1) == 0) {
            continue;
        }
        if (byte == '\n') {
            line[length] = '\0';
            length = 0;
            obey(line);
        } else if (length < sizeof line - 1) {
            line[length++] = (char)byte;
        }
    }
}

static void reset(void) {
    for (uint32_t *word = __bss_start; word < __bss_end; word++) {
        *word = 0;
    }
    intruder_main();
}
