// SPDX-License-Identifier: Apache-2.0
// A stand-in for the monitor on QEMU's mps2-an385: starts one enclave and serves its system calls in the simplest
// way, so that the VM can be tested alone. Time is virtual: it passes only while the enclave waits or asks.
// The name of the enclave's module is put into the memory by the emulator, so one image serves many modules.
#include <stddef.h>
#include <stdint.h>

#include "coffret/syscall.h"
#include "coffret/tables.h"
#include "coffret/vm.h"

extern uint32_t __bss_start[], __bss_end[], __stack_base[], __stack_top[], __heap_base[], __heap_end[], __module_name[];
void reset(void);
void supervisor_call(void);
void fault(void);
uint64_t serve(uint32_t *frame);

// One message from the enclave to itself, by a plain channel and through a gate.
const struct channel coffret_channels[] = {
    {.name = "echo", .from_name = "me", .min_size = 1, .max_size = 16, .depth = 1, .gate = CHANNEL_NO_GATE},
    {.name = "gate", .from_name = "gated", .min_size = 1, .max_size = 4, .depth = 1, .gate = 0},
};
const struct system_counts coffret_counts = {.tasks = 1, .enclaves = 1, .channels = 2, .gates = 1};
const char *const coffret_tag_names[] = {"alice/health", 0};
const struct task coffret_tasks[] = {{
    .secrecy = {{1u}},
    .name = "harness",
    .module = (const char *)__module_name,
    .entry = vm_main,
    .stack_base = (uint32_t)__stack_base,
    .stack_size = HARNESS_STACK,
    .heap_base = (uint32_t)__heap_base,
    .heap_size = HARNESS_HEAP,
}};

static struct {
    uint8_t data[16];
    uint32_t length; // 0: empty
} queue[2];
static uint64_t now_us;

#define UART0_DATA ((volatile uint32_t *)0x40004000u)
#define UART0_STATE ((volatile uint32_t *)0x40004004u)
#define UART0_CONTROL ((volatile uint32_t *)0x40004008u)
#define UART0_BAUD ((volatile uint32_t *)0x40004010u)

// CMSDK APB timer 0 at 25 MHz, counting down. Under `-icount shift=0` an instruction is a nanosecond, so a tick
// is 40 instructions.
#define TIMER0_CONTROL ((volatile uint32_t *)0x40000000u)
#define TIMER0_VALUE ((volatile uint32_t *)0x40000004u)
#define TIMER0_RELOAD ((volatile uint32_t *)0x40000008u)

static void put(char c) {
    while (*UART0_STATE & 1u) { // transmit buffer full (CMSDK APB UART)
    }
    *UART0_DATA = (uint32_t)(unsigned char)c;
}

static void put_text(const char *text, size_t length) {
    for (size_t i = 0; i < length; i++) {
        put(text[i]);
    }
}

static void put_number(uint32_t value) {
    if (value >= 10) {
        put_number(value / 10);
    }
    put((char)('0' + value % 10));
}

static void put_mark(const char *what, size_t length, uint32_t value) {
    put('[');
    put_text(what, length);
    put(' ');
    put_number(value);
    put_text("]\n", 2);
}

// Semihosting SYS_EXIT (Arm IHI 0100, operation 0x18): ends the emulator. Privileged code only.
static _Noreturn void leave(void) {
#ifdef HARNESS_COUNT
    put_mark("ticks", 5, UINT32_MAX - *TIMER0_VALUE);
#endif
    register uint32_t operation __asm__("r0") = 0x18;
    register uint32_t reason __asm__("r1") = 0x20026; // ADP_Stopped_ApplicationExit
    __asm__ volatile("bkpt 0xab" : : "r"(operation), "r"(reason));
    for (;;) {
    }
}

static int32_t send(uint32_t channel, const uint8_t *data, uint32_t length) {
    if (length < 1 || length > coffret_channels[channel].max_size) {
        return ERR_SIZE;
    }
    if (queue[channel].length != 0) {
        return ERR_FULL;
    }
    for (uint32_t i = 0; i < length; i++) {
        queue[channel].data[i] = data[i];
    }
    queue[channel].length = length;
    return 0;
}

static int32_t receive(uint32_t channel, uint8_t *to, uint32_t capacity) {
    uint32_t length = queue[channel].length;
    if (length == 0) {
        return ERR_EMPTY;
    }
    if (length > capacity) {
        return ERR_SIZE;
    }
    for (uint32_t i = 0; i < length; i++) {
        to[i] = queue[channel].data[i];
    }
    queue[channel].length = 0;
    return (int32_t)length;
}

static uint32_t readable(uint32_t mask) {
    return mask & ((queue[0].length ? 1u : 0) | (queue[1].length ? 2u : 0));
}

uint64_t serve(uint32_t *frame) { // r0 r1 r2 r3 r12 lr pc xpsr (Armv7-M, B1.5.6)
    uint32_t a = frame[0], b = frame[1], c = frame[2];
    uint64_t result = 0;
    switch (frame[4]) {
        case SYS_YIELD:
            now_us += 100;
            break;
        case SYS_SEND:
            result = (uint32_t)send(a, (const uint8_t *)b, c);
            break;
        case SYS_RECEIVE:
            result = (uint32_t)receive(a, (uint8_t *)b, c);
            break;
        case SYS_WAIT:
            result = readable(a);
            if (result == 0) {
                now_us += (uint64_t)b * 1000;
            }
            break;
        case SYS_TIME:
            result = ++now_us;
            break;
        case SYS_LOG:
            put_text((const char *)a, b);
            put('\n');
            break;
        case SYS_FAULT:
            put_mark("fault", 5, a);
            leave();
        case SYS_EXIT:
            put_mark("exit", 4, 0);
            leave();
        default:
            result = (uint32_t)ERR_DENIED;
    }
    frame[0] = (uint32_t)result;
    frame[1] = (uint32_t)(result >> 32);
    return result;
}

__attribute__((naked)) void supervisor_call(void) {
    __asm__ volatile("mrs r0, psp\n push {r4, lr}\n bl serve\n pop {r4, pc}");
}

void fault(void) {
    put_text("[hardfault]\n", 12);
    leave();
}

__attribute__((naked)) static void run_unprivileged(const struct task *task __attribute__((unused)),
                                                    uint32_t *stack __attribute__((unused))) {
    __asm__ volatile(
        "msr psp, r1\n"
        "movs r1, #3\n" // CONTROL: unprivileged, process stack
        "msr control, r1\n"
        "isb\n"
        "ldr r1, =vm_main\n"
        "bx r1");
}

void reset(void) {
    for (uint32_t *word = __bss_start; word < __bss_end; word++) {
        *word = 0;
    }
    *TIMER0_RELOAD = UINT32_MAX;
    *TIMER0_VALUE = UINT32_MAX;
    *TIMER0_CONTROL = 1; // enable
    *UART0_BAUD = 16;
    *UART0_CONTROL = 1; // transmit
    run_unprivileged(&coffret_tasks[0], __stack_top);
}

__attribute__((section(".vectors"), used)) static const void *const vectors[16] = {
    [0] = (const void *)0x20400000, [1] = (const void *)reset, [2] = (const void *)fault,
    [3] = (const void *)fault,      [4] = (const void *)fault, [5] = (const void *)fault,
    [6] = (const void *)fault,      [11] = (const void *)supervisor_call,
};
