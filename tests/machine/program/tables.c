// SPDX-License-Identifier: Apache-2.0
// Hand-written tables: what firmware/compiler/tables.py makes for a real appliance.
#include "coffret/tables.h"

#include "monitor/state.h"
#include "program.h"

// PMSAv7 words of a region of 2^bits bytes.
#define REGION(number, base, bits, access) {(base) | 1u << 4 | (number), (access) | ((bits) - 1u) << 1 | 1u}
#define NO_REGION(number) {1u << 4 | (number), 0}
#define RAM_ACCESS (3u << 24 | 1u << 28 | 1u << 17 | 1u << 18)
#define DEVICE_ACCESS (3u << 24 | 1u << 28 | 1u << 16 | 1u << 18)
#define CALLS 0xFFu | 1u << SYS_DEVICE

const struct mpu_region coffret_window = REGION(3u, RAM(0x8000u), 10u, RAM_ACCESS);

const struct task coffret_tasks[TASKS] = {
    [PROBER] = {.name = "prober", .entry = prober, .memory = REGION(4u, TASK_MEMORY(PROBER), 12u, RAM_ACCESS),
                .grants = {REGION(5u, TIMER1, 12u, DEVICE_ACCESS), NO_REGION(6u)}, .memory_base = TASK_MEMORY(PROBER),
                .memory_size = 0x1000u, .stack_base = TASK_MEMORY(PROBER), .stack_size = 0x800u,
                .calls = CALLS | 1u << SYS_PORT_WRITE, .backoff_ms = 1, .kind = TASK_SERVICE, .priority = 8},
    [OWNER] = {.name = "owner", .entry = owner, .memory = REGION(4u, TASK_MEMORY(OWNER), 12u, RAM_ACCESS),
               .grants = {NO_REGION(5u), NO_REGION(6u)}, .memory_base = TASK_MEMORY(OWNER), .memory_size = 0x1000u,
               .stack_base = TASK_MEMORY(OWNER), .stack_size = 0x800u, .calls = CALLS, .kind = TASK_SERVICE, .priority = 8},
};

#define PIN(row, name_, task_, number) \
    [row] = {.name = name_, .functions = 1u, .irq = DEVICE_NO_IRQ, .kind = DEVICE_PIN, .id = number, .task = task_, \
             .event = DEVICE_NONE}
#define SHARED(row, kind_, task_) [row] = {.name = "", .irq = DEVICE_NO_IRQ, .kind = kind_, .task = task_, .event = DEVICE_NONE}

const struct device coffret_devices[ROWS] = {
    PIN(OWN_PIN, "p1", PROBER, 1),
    [OWN_TIMER] = {.name = "timer1", .base = TIMER1, .size = 0x1000u, .irq = 9, .kind = DEVICE_TIMER, .id = 1,
                   .task = PROBER, .event = TIMER_EVENT},
    SHARED(OWN_WATCHDOG, DEVICE_WATCHDOG, PROBER),
    SHARED(OWN_IDENTITY, DEVICE_IDENTITY, PROBER),
    PIN(OTHERS_PIN, "p2", OWNER, 2),
    PIN(OTHERS_LED, "led0", OWNER, 64),
    SHARED(OTHERS_IDENTITY, DEVICE_IDENTITY, OWNER),
    SHARED(OWN_SETTINGS, DEVICE_SETTINGS, PROBER),
    SHARED(OTHERS_SETTINGS, DEVICE_SETTINGS, OWNER),
};

const struct channel coffret_channels[1];
const struct gate coffret_gates[1];
const struct sink coffret_sinks[1];
const struct component coffret_components[] = {{.type = "runtime", .version = "1"}};
const struct system_counts coffret_counts = {.tasks = TASKS, .enclaves = 0, .components = 1, .devices = ROWS};
const char coffret_appliance_name[] = "probes";
const char coffret_appliance_version[] = "1.0.0";
const char coffret_board_name[] = BOARD_NAME;
const char *const coffret_tag_names[] = {0};

struct task_state coffret_task_states[TASKS] MONITOR_BSS;
struct channel_state coffret_channel_states[1] MONITOR_BSS;
struct gate_state coffret_gate_states[1] MONITOR_BSS;
struct device_state coffret_device_states[TASKS] MONITOR_BSS;
