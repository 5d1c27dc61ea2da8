// SPDX-License-Identifier: Apache-2.0
// Hand-written tables: what firmware/compiler/tables.py makes for a real appliance.
#include "coffret/tables.h"

#include "monitor/state.h"
#include "program.h"
#include "regions.h"

const struct mpu_region coffret_window = REGION(3u, WINDOW, 10u, RAM_ACCESS);

#define TAG_HEART {{1u, 0}}
#define TAG_FAR {{0, 1u << 31}}
#define BOTH_TAGS {{1u, 1u << 31}}
#define NO_TAG {{0, 0}}

#define COMMON_CALLS 0x1FFFu
#define SERVICE_CALLS 0x7FFF20FFu

#define TASK(number, name_, entry_, policy, backoff, priority_, secrecy_, integrity_)                                   \
    [number] = {                                                                                                        \
        .name = name_, .module = name_, .entry = entry_, .memory = REGION(4u, TASK_MEMORY(number), 12u, RAM_ACCESS),    \
        .grants = {NO_REGION(5u), NO_REGION(6u)}, .memory_base = TASK_MEMORY(number), .memory_size = TASK_MEMORY_SIZE,  \
        .stack_base = TASK_MEMORY(number), .stack_size = TASK_STACK, .window_save = TASK_MEMORY(number) + TASK_STACK,   \
        .heap_base = TASK_MEMORY(number) + 0x800u, .heap_size = 0x800u, .secrecy = secrecy_, .integrity = integrity_,   \
        .calls = COMMON_CALLS, .backoff_ms = (backoff), .kind = TASK_ENCLAVE, .priority = (priority_),                  \
        .restart = (policy)}

#define SERVICE(number, name_, entry_, base)                                                                            \
    [number] = {                                                                                                        \
        .name = name_, .entry = entry_, .memory = REGION(4u, base, 12u, RAM_ACCESS),                                    \
        .grants = {NO_REGION(5u), NO_REGION(6u)}, .memory_base = (base), .memory_size = TASK_MEMORY_SIZE,               \
        .stack_base = (base), .stack_size = 0x800u, .calls = SERVICE_CALLS,                                             \
        .backoff_ms = 10, .kind = TASK_SERVICE, .priority = 4, .restart = RESTART_ON_FAULT}

const struct task coffret_tasks[] = {
    TASK(ATTACKER, "attacker", attacker, RESTART_ON_FAULT, 1, 8, NO_TAG, NO_TAG),
    TASK(TICKER, "ticker", ticker, RESTART_NEVER, 1, 8, NO_TAG, NO_TAG),
    TASK(LISTENER, "listener", listener, RESTART_NEVER, 1, 8, NO_TAG, NO_TAG),
    TASK(SECRET, "secret", secret, RESTART_ON_FAULT, 1, 8, BOTH_TAGS, NO_TAG),
    TASK(SPINNER_A, "spinner_a", spinner, RESTART_NEVER, 1, 12, NO_TAG, NO_TAG),
    TASK(SPINNER_B, "spinner_b", spinner, RESTART_NEVER, 1, 12, NO_TAG, TAG_FAR),
    TASK(ONCE, "once", once, RESTART_NEVER, 1, 8, NO_TAG, NO_TAG),
    TASK(ALWAYS, "always", always, RESTART_ALWAYS, 4, 8, NO_TAG, NO_TAG),
    [NATIVE] =
        {.name = "native", .module = "native", .entry = native, .memory = REGION(4u, TASK_MEMORY(NATIVE), 12u, RAM_ACCESS),
         .grants = {REGION(5u, GPIO0, 12u, DEVICE_ACCESS), NO_REGION(6u)}, .memory_base = TASK_MEMORY(NATIVE),
         .memory_size = TASK_MEMORY_SIZE, .stack_base = TASK_MEMORY(NATIVE), .stack_size = TASK_STACK,
         .window_save = TASK_MEMORY(NATIVE) + TASK_STACK, .calls = COMMON_CALLS, .backoff_ms = 1, .priority = 8,
         .restart = RESTART_NEVER},
    TASK(CALLER, "caller", caller, RESTART_NEVER, 1, 8, NO_TAG, NO_TAG),
    SERVICE(CONTROLLER, "controller", controller, TASK_MEMORY(CONTROLLER)),
    SERVICE(ATTESTER, "attester", attester_stand_in, RAM(0x3FF000u)),
};

#define CHANNEL(number, name_, from_, to_, gate_)                                                                       \
    [number] = {                                                                                                        \
        .name = name_, .from_name = "", .queue = QUEUE(number), .min_size = 1, .max_size = 24, .depth = 4,              \
        .from = from_, .to = to_, .gate = gate_}
#define CALL(number, name_, from_, to_)                                                                                 \
    [number] = {                                                                                                        \
        .name = name_, .from_name = "", .queue = QUEUE(number), .min_size = 1, .max_size = 24, .depth = 1,              \
        .from = from_, .to = to_, .gate = CHANNEL_NO_GATE, .kind = CHANNEL_CALL, .reply_max = 24}

const struct channel coffret_channels[] = {
    CHANNEL(COMMAND, "command", CONTROLLER, ATTACKER, CHANNEL_NO_GATE),
    CHANNEL(RESULT, "result", ATTACKER, CONTROLLER, CHANNEL_NO_GATE),
    CHANNEL(TICKS, "ticks", TICKER, LISTENER, CHANNEL_NO_GATE),
    CHANNEL(ASK_LISTENER, "ask_listener", CONTROLLER, LISTENER, CHANNEL_NO_GATE),
    CHANNEL(LISTENER_SAYS, "listener_says", LISTENER, CONTROLLER, CHANNEL_NO_GATE),
    CHANNEL(ASK_SECRET, "ask_secret", CONTROLLER, SECRET, CHANNEL_NO_GATE),
    CHANNEL(SECRET_SAYS, "secret.report", SECRET, CONTROLLER, 1),
    CHANNEL(SECRET_TO_LISTENER, "secret_to_listener", SECRET, LISTENER, CHANNEL_NO_GATE),
    CHANNEL(SECRET_TO_SINK, "secret_to_sink", SECRET, CHANNEL_TO_SINK | 0, CHANNEL_NO_GATE),
    CHANNEL(SECRET_GATE, "secret.mean", SECRET, CHANNEL_TO_SINK | 0, 2),
    CHANNEL(OTHERS_GATE, "secret.stolen", SECRET, CHANNEL_TO_SINK | 0, 3),
    CHANNEL(HALF_GATE, "secret.half", SECRET, CHANNEL_TO_SINK | 0, 4),
    CHANNEL(UNTRUSTED, "untrusted", ATTACKER, SPINNER_B, CHANNEL_NO_GATE),
    CHANNEL(VOUCHED, "attacker.vouch", ATTACKER, SPINNER_B, 5),
    CHANNEL(SPINNER_SAYS, "spinner_says", SPINNER_A, CONTROLLER, CHANNEL_NO_GATE),
    CHANNEL(OTHER_SPINNER_SAYS, "other_spinner_says", SPINNER_B, CONTROLLER, CHANNEL_NO_GATE),
    CHANNEL(NATIVE_SAYS, "native_says", NATIVE, CONTROLLER, CHANNEL_NO_GATE),
    CHANNEL(PUBLIC_TO_SINK, "public_to_sink", LISTENER, CHANNEL_TO_SINK | 0, CHANNEL_NO_GATE),
    CHANNEL(FLOODED, "flooded", ATTACKER, LISTENER, CHANNEL_NO_GATE),
    CHANNEL(BEHIND_FLOODED, "behind_flooded", TICKER, LISTENER, CHANNEL_NO_GATE),
    CHANNEL(LAUNDER, "launder", ATTACKER, SECRET, CHANNEL_NO_GATE),
    CALL(ASKING, "asking", CALLER, ATTACKER),
    CALL(ASKED, "asked", ATTACKER, SPINNER_A),
};

const struct gate coffret_gates[] = {
    {.name = "closed", .budget = 0, .window_s = 1, .task = ATTACKER},
    {.name = "secret.report", .releases = BOTH_TAGS, .max_bytes = 24, .budget = 1000, .window_s = 3600, .task = SECRET},
    {.name = "secret.mean", .releases = TAG_FAR, .max_bytes = 4, .budget = 2, .window_s = 1, .task = SECRET},
    {.name = "ticker.gate", .releases = BOTH_TAGS, .max_bytes = 4, .budget = 2, .window_s = 1, .task = TICKER},
    {.name = "secret.half", .releases = TAG_HEART, .max_bytes = 4, .budget = 2, .window_s = 1, .task = SECRET},
    {.name = "attacker.vouch", .vouches = TAG_FAR, .max_bytes = 4, .budget = 9, .window_s = 3600, .task = ATTACKER},
};

const struct sink coffret_sinks[] = {{.name = "usb", .device = 0, .accepts = TAG_HEART}};
const struct component coffret_components[] = {{.type = "runtime", .version = "1"}};

const struct system_counts coffret_counts = {
    .tasks = TASKS, .enclaves = CONTROLLER, .channels = CHANNELS, .gates = 6, .sinks = 1, .components = 1, .slot = 0};
const char coffret_appliance_name[] = "program";
const char coffret_appliance_version[] = "1.0.0";
const char coffret_board_name[] = BOARD_NAME;
const char *const coffret_tag_names[] = {"heart", 0};

struct task_state coffret_task_states[TASKS] MONITOR_BSS;
struct channel_state coffret_channel_states[CHANNELS] MONITOR_BSS;
struct gate_state coffret_gate_states[6] MONITOR_BSS;
