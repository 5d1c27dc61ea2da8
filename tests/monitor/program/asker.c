// SPDX-License-Identifier: Apache-2.0
// In the place of the manager: passes nonces from the port to the attester and its replies back.
// Order: one byte, the nonce's length, one byte, the subject, then the nonce. Reply: four bytes, the result, little
// endian; then as many bytes if it is positive. Order 0: four bytes, the attester's faults.
#include "coffret/syscall.h"
#include "coffret/tables.h"
#include "monitor/state.h"
#include "program.h"
#include "regions.h"

static struct {
    uint8_t nonce[64];
    uint8_t reply[3000];
} work __attribute__((section(".manager.bss")));

static void read_exactly(uint8_t *to, uint32_t length) {
    while (length != 0) {
        int32_t got = syscall3(SYS_PORT_READ, (uint32_t)to, length, 20); // orders are no lines: what has come by then
        to += got;
        length -= (uint32_t)got;
    }
}

#define ATTESTER 3u

// Two in the place of enclaves: one that says something, and one that ends with a fault.
static void talker(const struct task *self) {
    (void)self;
    syscall3(SYS_LOG, (uint32_t)"good morning", 12, 0);
    for (;;) {
        syscall3(SYS_WAIT, 0, 0xFFFFFFFFu, 0);
    }
}

static void failing(const struct task *self) {
    (void)self;
    syscall3(SYS_FAULT, FAULT_EXCEPTION, 0, 0);
}

static void asker(const struct task *self) {
    (void)self;
    for (;;) {
        uint8_t order;
        read_exactly(&order, 1);
        int32_t result;
        if (order == 0) {
            struct task_info info;
            syscall3(SYS_TASK_INFO, ATTESTER, (uint32_t)&info, 0);
            result = (int32_t)info.faults;
            syscall3(SYS_PORT_WRITE, (uint32_t)&result, sizeof result, 0);
            continue;
        }
        uint8_t subject;
        read_exactly(&subject, 1);
        read_exactly(work.nonce, order <= sizeof work.nonce ? order : sizeof work.nonce);
        struct evidence_request request = {work.nonce, order, work.reply, sizeof work.reply, subject};
        result = syscall3(SYS_EVIDENCE, (uint32_t)&request, 0, 0);
        syscall3(SYS_PORT_WRITE, (uint32_t)&result, sizeof result, 0);
        if (result > 0) {
            syscall3(SYS_PORT_WRITE, (uint32_t)work.reply, (uint32_t)result, 0);
        }
    }
}

_Noreturn void attester_main(const struct task *self);

const struct mpu_region coffret_window = NO_REGION(3u);
const struct task coffret_tasks[] = {
    {.name = "sensor", .entry = talker, .memory = REGION(4u, RAM(0x20000u), 10u, RAM_ACCESS),
     .grants = {NO_REGION(5u), NO_REGION(6u)}, .memory_base = RAM(0x20000u), .memory_size = 0x400u,
     .stack_base = RAM(0x20000u), .stack_size = 0x400u, .calls = 0xFFu, .priority = 8,
     .kind = TASK_SERVICE, .restart = RESTART_NEVER},
    {.name = "coach", .entry = failing, .memory = REGION(4u, RAM(0x20400u), 10u, RAM_ACCESS),
     .grants = {NO_REGION(5u), NO_REGION(6u)}, .memory_base = RAM(0x20400u), .memory_size = 0x400u,
     .stack_base = RAM(0x20400u), .stack_size = 0x400u, .calls = 0xFFu, .priority = 8,
     .secrecy = {{5u, 1u}}, .integrity = {{2u}}, .kind = TASK_SERVICE, .restart = RESTART_NEVER},
    {.name = "manager", .entry = asker, .memory = REGION(4u, RAM(0x10000u), 13u, RAM_ACCESS),
     .grants = {NO_REGION(5u), NO_REGION(6u)}, .memory_base = RAM(0x10000u), .memory_size = 0x2000u,
     .stack_base = RAM(0x10000u), .stack_size = 0x1000u, .calls = 0x7FFF00FFu, .backoff_ms = 10,
     .kind = TASK_SERVICE, .priority = 8, .restart = RESTART_ON_FAULT},
    {.name = "attester", .entry = attester_main, .memory = REGION(4u, RAM(0x3FE000u), 13u, RAM_ACCESS),
     .grants = {REGION(5u, BOARD_BOOT_BASE, 16u, CODE_ACCESS), NO_REGION(6u)}, .memory_base = RAM(0x3FE000u), .memory_size = 0x2000u,
     .stack_base = RAM(0x3FE000u), .stack_size = ATTESTER_STACK, .calls = 0x361020F1u, .backoff_ms = 10,
     .kind = TASK_SERVICE, .priority = 8, .restart = RESTART_ON_FAULT},
};
const struct channel coffret_channels[1];
const struct gate coffret_gates[] = {
    {.name = "sensor.checked", .max_bytes = 8, .budget = 9, .window_s = 60, .task = 0},
    {.name = "coach.weekly", .max_bytes = 16, .budget = 1, .window_s = 604800, .task = 1},
};
const struct sink coffret_sinks[1];
const struct component coffret_components[] = {
    {.type = "runtime", .version = "0.1.0", .digest = {1, 2, 3}},
    {.type = "enclave:sensor", .version = "1.2.3", .digest = {4}},
    {.type = "enclave:coach", .version = "1.2.3", .digest = {5}},
    {.type = "radio", .version = "1.2.3", .digest = {6}},
};
const struct system_counts coffret_counts = {.tasks = 4, .enclaves = 2, .gates = 2, .components = 4, .slot = 0};
const char coffret_appliance_name[] = "asker";
const char coffret_appliance_version[] = "1.2.3";
const char coffret_board_name[] = "mps2-an385";
const char *const coffret_tag_names[] = {0};

struct task_state coffret_task_states[4] MONITOR_BSS;
struct channel_state coffret_channel_states[1] MONITOR_BSS;
struct gate_state coffret_gate_states[2] MONITOR_BSS;
