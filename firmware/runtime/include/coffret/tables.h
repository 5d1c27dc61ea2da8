// SPDX-License-Identifier: Apache-2.0
// The system as constants: tasks, channels, gates and sinks. firmware/compiler/tables.py writes the values,
// firmware/image/audit.py reads them back from the linked image, the monitor enforces them.
#ifndef COFFRET_TABLES_H
#define COFFRET_TABLES_H

#include <stdint.h>

// A label is a set of tags; tag number n is bit (n % 32) of word n / 32.
#define COFFRET_LABEL_WORDS 2

struct label {
    uint32_t word[COFFRET_LABEL_WORDS];
};

// Two register words in the form the core's MPU takes (PMSAv7: RBAR with VALID and REGION, RASR). A region
// that is not used has VALID, its REGION number, and attributes 0 (disabled): it must be written too, because
// it switches off what the task before had there.
struct mpu_region {
    uint32_t rbar;
    uint32_t attributes;
};

// Region 3: the window, between the symbols __window_start and __window_end. Loaded for enclaves only. (Regions
// 0, 1, 2 and 7 are the board's: BOARD_MPU_* in board_config.h.)
extern const struct mpu_region coffret_window;

enum task_kind { TASK_ENCLAVE = 0, TASK_SERVICE = 1 };
enum restart_policy { RESTART_NEVER = 0, RESTART_ON_FAULT = 1, RESTART_ALWAYS = 2 };

#define TASK_WORKER 1u               // exists only while there is something for it: started clean, wiped when it waits
#define TASK_SUMMONED 2u             // a worker that exists for one message

#define TASK_GRANTS 2

struct task {
    const char *name;
    const char *module;              // import name of the enclave's main module; NULL for a service
    void (*entry)(const struct task *self);
    struct mpu_region memory;        // region 4: stack, saved window, heap
    struct mpu_region grants[TASK_GRANTS]; // regions 5 and 6; directly after `memory`: loaded as one block
    uint32_t memory_base;            // what `memory` covers, in bytes: where the task's pointers may point
    uint32_t memory_size;            // and what a restart scrubs (but for the handoff in the attester's)
    uint32_t stack_base;             // lowest address; the stack starts at stack_base + stack_size
    uint32_t stack_size;
    uint32_t window_save;            // where the monitor keeps this enclave's window while others run; 0: none;
                                     // inside its memory, as large as the window, a multiple of 64 bytes
    uint32_t heap_base;
    uint32_t heap_size;
    struct label secrecy;
    struct label integrity;
    uint32_t calls;                  // bit n: may make system call n
    uint32_t backoff_ms;             // first delay before a restart; doubles up to 64 times this
    uint16_t slice_ms;               // fixed time slice of the partition that this task leads; 0 in all: no fixed slices
    uint8_t kind;                    // enum task_kind
    uint8_t priority;                // 0 highest .. 15
    uint8_t restart;                 // enum restart_policy
    uint8_t flags;                   // TASK_WORKER, TASK_SUMMONED
    uint8_t body;                    // of a worker: number of the first task with the same memory, perhaps its own
    uint8_t partition;               // number of the task that leads its partition; used with fixed slices only
};

// The end of the world on this board: bytes that leave through a monitor driver.
struct sink {
    const char *name;
    uint32_t device;                 // number of the board's stream (board_stream_write; board.toml)
    struct label accepts;            // secrecy that may leave here
};

// A named point where one enclave may release (remove secrecy) or vouch (add integrity).
struct gate {
    const char *name;                // "coach.weekly"
    struct label releases;
    struct label vouches;
    uint32_t max_bytes;              // of one message
    uint32_t budget;                 // messages per window
    uint32_t window_s;               // length of the window in seconds
    uint8_t task;
    uint8_t reserved[3];
};

enum channel_kind {
    CHANNEL_SEND = 0,                // one way; the sender learns when it is full, if data may flow back
    CHANNEL_EMIT = 1,                // one way and silent; what finds no room is dropped, counted for the receiver only
    CHANNEL_CALL = 2,                // two ways: the sender waits for the reply. Has no queue
    CHANNEL_FAULTS = 3               // the monitor tells the receiver of the sender's faults (struct fault_report)
};

#define CHANNEL_NO_GATE 0xFFu
#define CHANNEL_TO_SINK 0x80u        // `to` is CHANNEL_TO_SINK | sink number

struct channel {
    const char *name;                // name the sender uses: the receiver, or the gate's own name
    const char *from_name;           // name the receiver uses: the sender
    uint32_t queue;                  // address of entries * (4 + max_size rounded up to 4) bytes of monitor RAM,
                                     // a multiple of 4; 0 for a call and for a sink (which has a ring of its own).
                                     // Entries are `depth`, and one more of a silent channel, for what is dropped
    uint16_t min_size;               // bytes of one message
    uint16_t max_size;
    uint8_t depth;                   // messages
    uint8_t from;                    // task number
    uint8_t to;                      // task number, or CHANNEL_TO_SINK | sink number
    uint8_t gate;                    // gate number or CHANNEL_NO_GATE
    uint16_t reply_max;              // bytes of a reply; 0 unless it is a call
    uint8_t kind;                    // enum channel_kind
    uint8_t reserved;
};

// What the evidence lists beside boot, appliance and policy, which boot measured.
struct component {
    const char *type;                // "runtime", "enclave:NAME"
    const char *version;
    uint8_t digest[32];              // SHA-256
};

enum device_kind {
    DEVICE_PIN = 0,
    DEVICE_UART = 1,
    DEVICE_GPIO = 2,
    DEVICE_I2C = 3,
    DEVICE_SPI = 4,
    DEVICE_ADC = 5,
    DEVICE_PWM = 6,
    DEVICE_TIMER = 7,
    DEVICE_RNG = 8,
    DEVICE_WATCHDOG = 9,             // one of its own for every enclave that has it
    DEVICE_IDENTITY = 10,            // the same
    DEVICE_SETTINGS = 11             // the same: what the operator gave this board to read
};

#define DEVICE_NO_IRQ 0xFFFFu
#define DEVICE_NONE 0xFFu            // no event, no pin, no function
#define DEVICE_PINS 4

// What an enclave was granted: read by its drivers (where is it) and by the monitor (whose pin, whose interrupt). In
// the image only if somebody was granted something.
struct device {
    const char *name;                // "i2c0", "gp15"
    uint32_t base;                   // registers that the enclave drives itself (a grant of its task); 0: the monitor does
    uint32_t size;                   // bytes
    uint32_t functions;              // DEVICE_PIN: bit n: its enclave may give it function n
    uint16_t irq;                    // delivered to the enclave as its event; DEVICE_NO_IRQ
    uint8_t kind;                    // enum device_kind
    uint8_t id;                      // its number in MicroPython, a pin's number on the part
    uint8_t task;
    uint8_t event;                   // bit in the task's events; DEVICE_NONE
    uint8_t function;                // DEVICE_PIN: what it has when its enclave starts; else what its pins are given
    uint8_t implied;                 // 1: a pin that came with a bus
    uint8_t pins[DEVICE_PINS];       // of a bus, in the order of board.toml; DEVICE_NONE
};

extern const struct task coffret_tasks[];
extern const struct channel coffret_channels[];
extern const struct gate coffret_gates[];
extern const struct sink coffret_sinks[];
extern const struct component coffret_components[];
extern const struct device coffret_devices[] __attribute__((weak)); // coffret_counts.devices of them

struct system_counts {
    uint8_t tasks;                   // enclaves first, in manifest order, then manager, then attester
    uint8_t enclaves;
    uint8_t channels;                // at most 32: SYS_WAIT takes a mask
    uint8_t gates;
    uint8_t sinks;
    uint8_t components;
    uint8_t slot;                    // 0 A, 1 B: the slot this image is linked for
    uint8_t devices;
};
extern const struct system_counts coffret_counts;
extern const char coffret_appliance_name[];
extern const char coffret_appliance_version[];
extern const char coffret_board_name[];
extern const char *const coffret_tag_names[]; // by tag number; the array ends with NULL

// The state arrays with these lengths are declared in monitor/state.h, whose structures are the monitor's own.

#endif
