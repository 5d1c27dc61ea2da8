// SPDX-License-Identifier: Apache-2.0
// In the place of the manager: passes nonces from the port to the attester and its replies back.
// Order: one byte, the nonce's length, then the nonce. Reply: four bytes, the result, little endian; then as many
// bytes if it is positive. Order 0: four bytes, the attester's faults.
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

static void asker(const struct task *self) {
    (void)self;
    for (;;) {
        uint8_t order;
        read_exactly(&order, 1);
        int32_t result;
        if (order == 0) {
            struct task_info info;
            syscall3(SYS_TASK_INFO, 1, (uint32_t)&info, 0);
            result = (int32_t)info.faults;
            syscall3(SYS_PORT_WRITE, (uint32_t)&result, sizeof result, 0);
            continue;
        }
        read_exactly(work.nonce, order <= sizeof work.nonce ? order : sizeof work.nonce);
        struct evidence_request request = {work.nonce, order, work.reply, sizeof work.reply};
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
    {.name = "manager", .entry = asker, .memory = REGION(4u, RAM(0x10000u), 13u, RAM_ACCESS),
     .grants = {NO_REGION(5u), NO_REGION(6u)}, .memory_base = RAM(0x10000u), .memory_size = 0x2000u,
     .stack_base = RAM(0x10000u), .stack_size = 0x1000u, .calls = 0x7FFF00FFu, .backoff_ms = 10,
     .kind = TASK_SERVICE, .priority = 8, .restart = RESTART_ON_FAULT},
    {.name = "attester", .entry = attester_main, .memory = REGION(4u, RAM(0x3FF000u), 12u, RAM_ACCESS),
     .grants = {REGION(5u, BOARD_BOOT_BASE, 16u, CODE_ACCESS), NO_REGION(6u)}, .memory_base = RAM(0x3FF000u), .memory_size = 0x1000u,
     .stack_base = RAM(0x3FF000u), .stack_size = ATTESTER_STACK, .calls = 0x300000F1u, .backoff_ms = 10,
     .kind = TASK_SERVICE, .priority = 8, .restart = RESTART_ON_FAULT},
};
const struct channel coffret_channels[1];
const struct gate coffret_gates[1];
const struct sink coffret_sinks[1];
const struct component coffret_components[] = {
    {.type = "runtime", .version = "0.1.0", .digest = {1, 2, 3}},
    {.type = "enclave:sensor", .version = "1.2.3", .digest = {4}},
    {.type = "enclave:coach", .version = "1.2.3", .digest = {5}},
};
const struct system_counts coffret_counts = {.tasks = 2, .components = 3, .slot = 0};
const char coffret_appliance_name[] = "asker";
const char coffret_appliance_version[] = "1.2.3";
const char coffret_board_name[] = "mps2-an385";
const char *const coffret_tag_names[] = {0};

struct task_state coffret_task_states[2] MONITOR_BSS;
struct channel_state coffret_channel_states[1] MONITOR_BSS;
struct gate_state coffret_gate_states[1] MONITOR_BSS;
