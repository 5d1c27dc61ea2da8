// SPDX-License-Identifier: Apache-2.0
// Hand-written tables: what firmware/compiler/tables.py makes for a real appliance. The words are PMSAv6's (DDI 0419, B3.5.8).
#include "coffret/tables.h"

#include "monitor/state.h"
#include "program.h"

#define REGION(number, base, log2, access) {(base) | 0x10u | (number), (access) | ((log2) - 1u) << 1 | 1u}
#define NO_REGION(number) {0x10u | (number), 0}
#define RAM_ACCESS (3u << 24 | 1u << 28 | 3u << 17)
#define DEVICE_ACCESS (3u << 24 | 1u << 28 | 1u << 16 | 1u << 18)
// The first 64 bytes of the SIO: two of the eight parts of 256.
#define PINS {SIO | 0x10u | 5u, DEVICE_ACCESS | 0xFCu << 8 | 7u << 1 | 1u}

const struct mpu_region coffret_window = REGION(3u, WINDOW, 10u, RAM_ACCESS);

#define COMMON(number, name_, entry_, policy)                                                                          \
    .name = name_, .module = name_, .entry = entry_, .memory = REGION(4u, TASK_MEMORY(number), 12u, RAM_ACCESS),       \
    .memory_base = TASK_MEMORY(number), .memory_size = TASK_MEMORY_SIZE, .stack_base = TASK_MEMORY(number),            \
    .stack_size = TASK_STACK, .window_save = TASK_MEMORY(number) + TASK_STACK,                                         \
    .heap_base = TASK_MEMORY(number) + 0x800u, .heap_size = 0x800u, .calls = 0xFFu, .backoff_ms = 1,                   \
    .kind = TASK_ENCLAVE, .priority = 8, .restart = (policy)

#define SERVICE(number, name_, entry_, base)                                                                           \
    [number] = {                                                                                                       \
        .name = name_, .entry = entry_, .memory = REGION(4u, base, 12u, RAM_ACCESS),                                   \
        .grants = {NO_REGION(5u), NO_REGION(6u)}, .memory_base = (base), .memory_size = TASK_MEMORY_SIZE,              \
        .stack_base = (base), .stack_size = 0x800u, .calls = 0x7FFF00FFu, .backoff_ms = 10, .kind = TASK_SERVICE,      \
        .priority = 4, .restart = RESTART_ON_FAULT}

const struct task coffret_tasks[] = {
    [ATTACKER] = {COMMON(ATTACKER, "attacker", attacker, RESTART_ON_FAULT), .grants = {NO_REGION(5u), NO_REGION(6u)}},
    [COUNTER] = {COMMON(COUNTER, "counter", counter, RESTART_NEVER), .grants = {NO_REGION(5u), NO_REGION(6u)}},
    [NATIVE] = {COMMON(NATIVE, "native", native, RESTART_NEVER), .grants = {PINS, NO_REGION(6u)}},
    SERVICE(CONTROLLER, "controller", controller, TASK_MEMORY(CONTROLLER)),
    SERVICE(ATTESTER, "attester", attester_stand_in, RAM(0x3F000u)),
};

#define CHANNEL(number, name_, from_, to_)                                                                             \
    [number] = {.name = name_, .from_name = "", .queue = QUEUE(number), .min_size = 1, .max_size = 24, .depth = 4,     \
                .from = from_, .to = to_, .gate = CHANNEL_NO_GATE}

const struct channel coffret_channels[] = {
    CHANNEL(COMMAND, "command", CONTROLLER, ATTACKER),
    CHANNEL(RESULT, "result", ATTACKER, CONTROLLER),
    CHANNEL(COUNTS, "counts", COUNTER, CONTROLLER),
    CHANNEL(NATIVE_SAYS, "native_says", NATIVE, CONTROLLER),
};

const struct gate coffret_gates[] = {{.name = "none"}};
const struct sink coffret_sinks[] = {{.name = "usb", .device = 0}};
const struct component coffret_components[] = {{.type = "runtime", .version = "1"}};
const struct system_counts coffret_counts = {
    .tasks = TASKS, .enclaves = 3, .channels = CHANNELS, .gates = 0, .sinks = 0, .components = 1, .slot = 0};
const char coffret_appliance_name[] = "program";
const char coffret_appliance_version[] = "1.0.0";
const char coffret_board_name[] = BOARD_NAME;
const char *const coffret_tag_names[] = {0};

struct task_state coffret_task_states[TASKS] MONITOR_BSS;
struct channel_state coffret_channel_states[CHANNELS] MONITOR_BSS;
struct gate_state coffret_gate_states[1] MONITOR_BSS;
