// SPDX-License-Identifier: Apache-2.0
// An image for boot's tests: prints the handoff it got, then obeys one-letter commands, one a line.
#include <string.h>

#include "board_config.h"
#include "cmsdk.h"
#include "coffret/board.h"
#include "coffret/boot_services.h"
#include "coffret/boot_state.h"
#include "coffret/flash.h"
#include "coffret/handoff.h"
#include "registers.h"

extern uint32_t __stack_top[], __bss_start[], __bss_end[], __arena[], __arena_end[];

static void reset(void);
static void fault(void);
static void call_ended(void);

__attribute__((section(".vectors"), used)) static const struct {
    uint32_t *stack;
    void (*handlers[15])(void);
} vectors = {__stack_top, {reset, fault, fault, fault, fault, fault, fault, fault, fault, fault, call_ended, fault,
                           fault, fault, fault}};

static const struct boot_services *services(void) {
    return (const struct boot_services *)(BOARD_BOOT_BASE + BOOT_SERVICES_OFFSET);
}
static const struct handoff *handoff(void) { return (const struct handoff *)BOARD_HANDOFF_BASE; }

static void say(const char *text) { board_port_write((const uint8_t *)text, strlen(text)); }

static void say_hex(const void *data, size_t length) {
    const uint8_t *bytes = data;
    for (size_t i = 0; i < length; i++) {
        char pair[2] = {"0123456789abcdef"[bytes[i] >> 4], "0123456789abcdef"[bytes[i] & 15]};
        board_port_write((const uint8_t *)pair, 2);
    }
}

static void say_number(uint32_t number) {
    char digits[11] = {0};
    size_t at = sizeof digits - 1;
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    say(digits + at);
}

static void fault(void) {
    say("FAULT\n");
    for (;;) {
    }
}

// ---- calling boot as a service does: unprivileged, with its stack and boot's code open, and nothing else ----

struct call {
    uint8_t key[32];
    uint8_t digest[32];
    uint8_t signature[64];
    struct image_limits limits;
    struct image_info info;
    int result;
    uint8_t kind; // 's' sign, 'v' verify
    uint8_t slot;
};

// At the start of the arena; its stack grows down from the arena's end.
static struct call *call(void) { return (struct call *)__arena; }

static void unprivileged_call(void) {
    struct call *c = call();
    if (c->kind == 's') {
        c->result = services()->p256_sign(c->key, c->digest, c->signature);
    } else {
        c->result = services()->check_image(c->slot, &c->limits, &c->info);
    }
    __asm__ volatile("svc 0");
    for (;;) {
    }
}


// Thread mode continues where run_unprivileged left off, privileged, on the main stack.
__attribute__((naked)) static void call_ended(void) {
    __asm__ volatile("movs r0, #0\n"
                     "msr control, r0\n"
                     "isb\n"
                     "mvn lr, #6\n" // 0xFFFFFFF9: thread mode, main stack
                     "bx lr\n");
}

__attribute__((naked, noinline)) static void run_unprivileged(__attribute__((unused)) uint32_t top,
                                                              __attribute__((unused)) void (*entry)(void)) {
    __asm__ volatile("push {r4-r11, lr}\n"
                     // A frame for call_ended to return by: to label 1, with xPSR's Thumb bit.
                     "sub sp, #32\n"
                     "ldr r2, =1f\n"
                     "str r2, [sp, #24]\n"
                     "mov r2, #0x01000000\n"
                     "str r2, [sp, #28]\n"
                     "msr psp, r0\n"
                     "movs r2, #3\n"
                     "mov r9, #0x55\n"
                     "msr control, r2\n"
                     "isb\n"
                     "bx r1\n"
                     ".align 2\n"
                     ".thumb_func\n"
                     "1:\n"
                     "pop {r4-r11, pc}\n"
                     ".ltorg\n");
}

static uint32_t stack_used(void) {
    const uint8_t *low = (const uint8_t *)(call() + 1);
    const uint8_t *at = low;
    while (at < (const uint8_t *)__arena_end && *at == 0xA5u) {
        at++;
    }
    return (uint32_t)((const uint8_t *)__arena_end - at);
}

static void call_service(void) {
    memset(call() + 1, 0xA5, (size_t)((uint8_t *)__arena_end - (uint8_t *)(call() + 1)));
    // Opened: this slot's code and boot's (read only, executable), both slots' data, the arena.
    mpu_set_region(0x00000010u | 0u, 0x0602001Fu);                         // boot, 64 KiB, code
    mpu_set_region(BOARD_FLASH_BASE | 0x10u | 1u, 0x06020027u);            // both slots, 1 MiB, code
    mpu_set_region((uint32_t)__arena | 0x10u | 2u, 0x13060017u);           // arena, 4 KiB, RW, never executed
    mpu_enable();
    run_unprivileged((uint32_t)__arena_end, unprivileged_call);
    mpu_clear_region(0);
    mpu_clear_region(1);
    mpu_clear_region(2);
}

// ---- commands ----

static struct store store;

// Boot's own code, at the addresses that its symbols name: nothing of it is compiled again here.
typedef int from_der(const uint8_t *der, size_t length, uint8_t signature[64]);
typedef uint32_t verify(const uint8_t key[64], const uint8_t digest[32], const uint8_t signature[64]);

static uint8_t nibble(char c) { return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10); }

static void unhex(const char *text, uint8_t *data, size_t length) {
    for (size_t i = 0; i < length; i++) {
        data[i] = (uint8_t)(nibble(text[2 * i]) << 4 | nibble(text[2 * i + 1]));
    }
}

static uint32_t word_of(const uint8_t big_endian[4]) {
    return (uint32_t)big_endian[0] << 24 | (uint32_t)big_endian[1] << 16 | (uint32_t)big_endian[2] << 8 |
           big_endian[3];
}

static void say_result(int result) {
    say(result == 0 ? "OK\n" : "ERROR\n");
}

static void obey(const char *line) {
    switch (line[0]) {
    case 'c': // confirm what runs
        say_result(boot_state_confirm(&store, handoff()->slot, handoff()->security_counter));
        break;
    case 'n': // confirm, and lose power before the second record
        {
            struct boot_state state;
            boot_state_load(&store, &state);
            state = (struct boot_state){.active = handoff()->slot, .pending = BOOT_SLOT_NONE};
            say_result(boot_state_save(&store, &state));
        }
        break;
    case 't': // try the other slot at the next start
        say_result(boot_state_mark_test(&store, (uint8_t)(1 - handoff()->slot)));
        break;
    case 'y': // stay in recovery, once
        say_result(boot_state_set_recovery(&store, 1));
        break;
    case 'l': { // lifecycle: secured
        uint16_t secured = 0x3000;
        say_result(store_put(&store, STORE_LIFECYCLE, &secured, sizeof secured));
        break;
    }
    case 'o': { // oORDER: to decommission the board
        uint8_t order[STORE_ORDER_MAX];
        size_t length = (strlen(line) - 1u) / 2u;
        unhex(line + 1, order, length);
        say_result(store_put(&store, STORE_ORDER, order, length));
        break;
    }
    case 'k': { // spoil boot's copy of the certificate, in byte number kHHHH
        uint8_t record[1024];
        uint8_t place[2];
        int length = store_get(&store, STORE_CERTIFICATE, record, sizeof record);
        unhex(line + 1, place, 2);
        record[place[0] << 8 | place[1]] ^= 1;
        say_result(length > 0 ? store_put(&store, STORE_CERTIFICATE, record, (size_t)length) : -1);
        break;
    }
    case 'e': // eOFFSETLENGTH, eight digits each: erase flash
    case 'p': { // pOFFSETDATA: program flash, data up to the end of the line
        uint8_t number[4];
        uint8_t data[64];
        unhex(line + 1, number, 4);
        uint32_t offset = word_of(number);
        size_t length = (strlen(line) - 9u) / 2u;
        unhex(line + 9, data, length);
        int result = line[0] == 'e' ? flash_erase(offset, word_of(data)) : flash_program(offset, data, length);
        say_number((uint32_t)-result);
        say("\n");
        break;
    }
    case 'w': // a watchdog that nobody feeds any more
        say_result(board_watchdog_start(100) ? 0 : -1);
        for (;;) {
        }
    case 'h': // hang
        for (;;) {
        }
    case 'r':
        board_port_flush();
        board_reset();
    case 'm': // read the device secret
        (void)*(const volatile uint32_t *)(BOARD_FLASH_BASE + BOARD_SECRETS_OFFSET + 8u);
        say("SECRET\n");
        break;
    case 's': // sKEYDIGEST: sign
        call()->kind = 's';
        unhex(line + 1, call()->key, 32);
        unhex(line + 65, call()->digest, 32);
        call_service();
        say_number((uint32_t)call()->result);
        say(" ");
        say_hex(call()->signature, 64);
        say(" ");
        say_number(stack_used());
        say("\n");
        break;
    case 'v': // vSLOT: check an image
        call()->kind = 'v';
        call()->slot = nibble(line[1]);
        call()->limits = (struct image_limits){.lifecycle = LIFECYCLE_PROVISIONING};
        call_service();
        say_number((uint32_t)call()->result);
        say(" ");
        say_hex(call()->info.digest, 32);
        say(" ");
        say_number(stack_used());
        say("\n");
        break;
    case 'j': { // jFROM_DERVERIFYKEYDIGESTSIGNATURE: judge a signature, DER up to the end of the line
        uint8_t place[4], key[64], digest[32], der[512], signature[64];
        unhex(line + 1, place, 4);
        from_der *boot_from_der = (from_der *)word_of(place);
        unhex(line + 9, place, 4);
        verify *boot_verify = (verify *)word_of(place);
        unhex(line + 17, key, 64);
        unhex(line + 145, digest, 32);
        size_t length = (strlen(line) - 209u) / 2u;
        unhex(line + 209, der, length);
        bool good = boot_from_der(der, length, signature) == 0 && boot_verify(key, digest, signature) == 0x5AA5C33Cu;
        say(good ? "GOOD\n" : "BAD\n");
        break;
    }
    default:
        say("WHAT\n");
    }
}

__attribute__((noreturn)) void payload_main(void);
void payload_main(void) {
    uint32_t ticks = timer_elapsed(BOARD_TIME_BASE); // since boot started it
    // Before anything else is run: did boot leave anything behind?
    uint32_t left = 0;
    const volatile uint32_t *lowest = (const uint32_t *)(BOARD_BOOT_RAM_BASE + BOARD_BOOT_RAM_SIZE);
    for (const volatile uint32_t *word = (const uint32_t *)BOARD_BOOT_RAM_BASE;
         word < (const uint32_t *)(BOARD_BOOT_RAM_BASE + BOARD_BOOT_RAM_SIZE); word++) {
        if (*word != 0u) {
            left++;
            lowest = word < lowest ? word : lowest;
        }
    }
    board_init();
    store_open(&store, BOARD_STORE_OFFSET, BOARD_STORE_BANK_SIZE);
    say("READY ");
    say_number(left);
    say(" ");
    say_number((uint32_t)lowest - BOARD_BOOT_RAM_BASE);
    say(" ");
    say_number(ticks);
    say(" ");
    say_hex(handoff(), sizeof *handoff());
    say("\n");
    char line[209 + 2 * 512 + 1];
    size_t length = 0;
    for (;;) {
        uint8_t byte;
        if (board_port_read(&byte, 1) == 0) {
            board_watchdog_feed(); // as long as it listens, it is no image that hangs
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
    payload_main();
}
