// SPDX-License-Identifier: Apache-2.0
// An image for the driver's test: echoes the management port and stream 0, each on itself, by interrupts alone.
#include <string.h>

#include "board_config.h"
#include "coffret/board.h"
#include "registers.h"

extern uint32_t __stack_top[], __bss_start[], __bss_end[];

static void reset(void);
static void stop(void);
static void interrupt(void);

__attribute__((section(".vectors"), used)) static const struct {
    uint32_t *stack;
    void (*handlers[15])(void);
    void (*interrupts[BOARD_EXTERNAL_INTERRUPTS])(void);
} vectors = {__stack_top, {reset, [1 ... 14] = stop}, {[0 ... BOARD_EXTERNAL_INTERRUPTS - 1] = interrupt}};

static volatile uint32_t events;

static void stop(void) {
    for (;;) {
    }
}

static void interrupt(void) { events |= board_interrupt(cpu_exception() - 16u); }

static uint8_t block[BOARD_STREAM_CAPACITY + 1u];

// Bytes 1 and 2 are commands: a message too large for the ring, and the largest that fits. The answer is 0 or 1.
static void obey(uint8_t *byte) {
    if (*byte == 1u || *byte == 2u) {
        memset(block, 'x', sizeof block);
        *byte = board_stream_write(0u, block, *byte == 1u ? sizeof block : sizeof block - 1u);
    }
}

// Both say whether they moved anything.
static bool echo_port(void) {
    static uint8_t held[64];
    static size_t length, sent;
    if (sent == length) {
        sent = 0;
        length = board_port_read(held, sizeof held);
        for (size_t i = 0; i < length; i++) {
            obey(&held[i]);
        }
    }
    size_t moved = board_port_write(held + sent, length - sent);
    sent += moved;
    return moved > 0u;
}

static bool echo_stream(void) {
    uint8_t held[64];
    if (board_stream_space(0u) >= sizeof held) {
        size_t length = board_stream_read(0u, held, sizeof held);
        return length > 0u && board_stream_write(0u, held, length);
    }
    return false;
}

__attribute__((noreturn)) void payload_main(void);
void payload_main(void) {
    board_init();
    board_port_use_interrupts();
    board_stream_start(0u);
    for (;;) {
        cpu_interrupts_disable();
        bool moved = echo_port();
        if (!echo_stream() && !moved && events == 0u) {
            cpu_wait_for_interrupt(); // also woken by an interrupt that is masked
        }
        events = 0u;
        cpu_interrupts_enable();
    }
}

static void reset(void) {
    for (uint32_t *word = __bss_start; word < __bss_end; word++) {
        *word = 0;
    }
    payload_main();
}
