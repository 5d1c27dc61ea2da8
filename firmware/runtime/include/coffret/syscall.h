// SPDX-License-Identifier: Apache-2.0
// System calls of the monitor: the only way out of a task.
#ifndef COFFRET_SYSCALL_H
#define COFFRET_SYSCALL_H

#include <stddef.h>
#include <stdint.h>

enum syscall {
    // every task
    SYS_YIELD = 0,
    SYS_SEND = 1,       // channel, pointer, length -> 0 or error
    SYS_RECEIVE = 2,    // channel, pointer, capacity -> length or error; never blocks
    SYS_WAIT = 3,       // mask of channel numbers (0..31), timeout in ms (0xFFFFFFFF: for ever) -> mask of readable ones, 0: timeout
    SYS_TIME = 4,       // -> microseconds since boot, 64 bits
    SYS_LOG = 5,        // pointer, length (cut at 120 bytes)
    SYS_FAULT = 6,      // reason (enum fault_reason): ends the task, its restart policy decides what follows
    SYS_EXIT = 7,       // the task is done (restarts only by policy always)
    SYS_CALL = 8,       // channel (a call), buffer in own memory that has the request and gets the reply, request length |
                        // reply capacity << 16 -> reply length or error; blocks
    SYS_REPLY = 9,      // channel, pointer, length -> 0 or error: to the request that was received
    SYS_ANSWER = 10,    // channel, buffer in own memory, reply length (NO_REPLY: none) | capacity << 16: SYS_REPLY, then
                        // blocks until the next request is in the buffer -> its length
    SYS_DROPPED = 11,   // channel -> messages to it that found no room, since boot; asked by its receiver
    SYS_ACCOUNT = 12,   // task (SELF: the caller), struct account *: of one that the caller's label may know of
    SYS_DEVICE = 15,    // enum device_call | number << 8, and its arguments; in an image where a device was granted
    // services only
    SYS_GATE_INFO = 13, // (attester) gate number, struct gate_info *
    SYS_PORT_READ = 16, // pointer, capacity, timeout ms -> bytes read from the management port: what is there, else what came
                        // up to the end of a line, half a ring, or the timeout
    SYS_PORT_WRITE = 17,// pointer, length -> bytes written (blocks the caller only)
    SYS_FLASH_ERASE = 18,   // offset in the other slot, length: multiples of the erase block
    SYS_FLASH_PROGRAM = 19, // offset in the other slot, pointer, length: multiples of 4
    SYS_STORE_GET = 20, // key, pointer, capacity -> length or error
    SYS_STORE_PUT = 21, // key, pointer, length; only the keys a service may write (endorsement, lifecycle once, settings)
    SYS_MARK_TEST = 22, // the other slot is pending for one trial boot
    SYS_CONFIRM = 23,   // the running slot becomes active; its security counter becomes the minimum
    SYS_RESET = 24,     // mode 0 normal, 1 stay in recovery
    SYS_LOG_READ = 25,  // from sequence, pointer, capacity -> bytes: struct log_entry, text, ... ; whole entries only
    SYS_TASK_INFO = 26, // task number, struct task_info *
    SYS_EVIDENCE = 27,  // (manager) pointer to struct evidence_request: hands it to the attester and blocks till it is served
    SYS_EVIDENCE_NEXT = 28, // (attester) blocks until a request is there; copies the nonce in -> its length | subject << 8
    SYS_EVIDENCE_DONE = 29, // (attester) pointer, length, enum evidence_end: a piece of the reply, copied to the manager's buffer
    SYS_IDENTITY = 30,  // (manager) pointer to struct identity of the handoff, copied by the monitor
    SYS_COUNT = 32
};

#define NO_REPLY 0xFFFFu
#define SELF 0xFFFFFFFFu

enum evidence_end {
    EVIDENCE_MORE = 0,      // more pieces follow
    EVIDENCE_COMPLETE = 1,  // that was all: the manager gets the length of all pieces
    EVIDENCE_FAILED = 2     // there is no evidence: the manager gets ERR_NOT_FOUND
};

// What SYS_DEVICE does. The number is a row of coffret_devices that must be the caller's own, or a mask.
enum device_call {
    DEVICE_CALL_WAIT = 0,       // events to listen to << 8, channels, timeout: SYS_WAIT that an event ends too
    DEVICE_CALL_EVENTS = 1,     // -> events since the last time it was asked
    DEVICE_CALL_PIN_MODE = 2,   // enum pin_mode, enum pin_pull, enum pin_level
    DEVICE_CALL_PIN_GET = 3,    // enum pin_side -> 0 or 1
    DEVICE_CALL_PIN_SET = 4,    // enum pin_level
    DEVICE_CALL_PIN_TRIGGER = 5,// mask of enum pin_edge: the next one is an event, once
    DEVICE_CALL_PIN_FUNCTION = 6,
    DEVICE_CALL_WATCHDOG = 7,   // ms until the caller is ended unless it calls again; 0: as long as the last time
    DEVICE_CALL_IDENTITY = 8,   // pointer, capacity -> length
    DEVICE_CALL_SETTINGS = 9    // pointer, capacity -> length of the text: a line NAME=VALUE for each; 0: none were given
};

enum pin_mode { PIN_INPUT = 0, PIN_OUTPUT = 1, PIN_OPEN_DRAIN = 2 };
enum pin_pull { PIN_PULL_NONE = 0, PIN_PULL_UP = 1, PIN_PULL_DOWN = 2, PIN_PULL_KEEP = 4 }; // up and down: both
enum pin_level { PIN_LOW = 0, PIN_HIGH = 1, PIN_RELEASED = 2 }; // released: not driven, of an open-drain output
enum pin_side { PIN_OUTSIDE = 0, PIN_OWN = 1 }; // what the pin is, what its output was set to
enum pin_edge { PIN_FALLING = 4, PIN_RISING = 8 };

#define DEVICE_IDENTITY_SIZE 8u
#define SETTINGS_MAX 512u       // bytes of the whole text
#define WATCHDOG_MAX_MS 0x7FFFFFFFu

enum syscall_error {
    ERR_FULL = -1,      // queue full
    ERR_EMPTY = -2,
    ERR_SIZE = -3,      // message size out of the channel's bounds
    ERR_DENIED = -4,    // not yours, or the flow is not allowed
    ERR_POINTER = -5,   // memory outside the caller's own
    ERR_BUDGET = -6,    // the gate's budget is used up
    ERR_FLASH = -7,
    ERR_NOT_FOUND = -8,
    ERR_BUSY = -9,
    ERR_PEER = -10      // the other side of a call has ended
};

enum fault_reason {
    FAULT_NONE = 0,
    FAULT_MEMORY = 1,       // MPU: load or store outside its regions
    FAULT_EXECUTE = 2,      // MPU: instruction fetch from memory that is not executable for it
    FAULT_STACK = 3,        // stack overflow (into the guard)
    FAULT_USAGE = 4,        // undefined instruction, unaligned, divide by zero
    FAULT_BUS = 5,
    FAULT_SYSCALL = 6,      // a call it may not make
    FAULT_EXCEPTION = 16,   // uncaught Python exception
    FAULT_OUT_OF_MEMORY = 17,
    FAULT_WATCHDOG = 18     // it did not feed its watchdog
};

struct log_entry {
    uint32_t sequence;
    uint32_t ms;
    uint8_t task;           // 0xFF: the monitor
    uint8_t length;         // bytes of text that follow, padded to 4
    uint16_t reserved;
};

// What a task has used since boot.
struct account {
    uint64_t cpu_us;
    uint32_t memory;        // bytes it owns: stack, saved window, heap
    uint32_t stack_used;    // most bytes of stack since its last start
    uint32_t faults;
    uint32_t restarts;
};

// A message of a channel of kind CHANNEL_FAULTS. Its receiver's label covers the sender's, so nothing is left out.
struct fault_report {
    uint8_t reason;         // enum fault_reason
    uint8_t reserved[3];
    uint32_t faults;        // with this one
    uint32_t instruction;   // where it was; 0: unknown
    uint32_t address;       // of the data; 0: unknown
};

struct task_info {
    uint32_t faults;
    uint32_t restarts;
    uint32_t cpu_ms;        // 0 of a task with a secrecy label: whoever asks for it, asks for everybody
    uint8_t state;          // 0 ready, 1 waiting, 2 stopped, 3 back-off, 4 asleep (a worker without work);
                            // of a task with a secrecy label 1 for 0, 1 and 4
    uint8_t last_fault;     // enum fault_reason
    uint8_t reserved[2];
    uint32_t fault_address;
};

// What a gate has used of its budget. Every release is in the log too, which anybody can read.
struct gate_info {
    uint32_t used;          // messages in this window
    uint32_t left_s;        // seconds of this window, with power on; 0: the next message begins one
    uint8_t task;           // whose gate it is
    uint8_t reserved[3];
};

struct evidence_request {
    const uint8_t *nonce;
    uint32_t nonce_length;  // 32, 48 or 64
    uint8_t *reply;         // token length u16, certificate length u16 (little endian), token, certificate
    uint32_t capacity;
    uint32_t subject;       // 1 + number of the enclave that it is about in particular; 0: of none; or one of those below
};
// In an image with pairwise identities. The nonce has 64 bytes then: one of 32, and the verifier's id.
#define EVIDENCE_ENROL 0xFEu    // the ordinary token, which names the key for that verifier
#define EVIDENCE_PAIRWISE 0xFFu // a token of that key, which names nothing of this device alone

#ifdef COFFRET_HOST // tests run services on the host, over simulated calls
int32_t syscall3(uint32_t number, uintptr_t a, uintptr_t b, uintptr_t c);
uint64_t syscall_time(void);
#else
static inline int32_t syscall3(uint32_t number, uintptr_t a, uintptr_t b, uintptr_t c) {
    register uintptr_t r0 __asm__("r0") = a;
    register uintptr_t r1 __asm__("r1") = b;
    register uintptr_t r2 __asm__("r2") = c;
    register uint32_t r12 __asm__("r12") = number;
    __asm__ volatile("svc 0" : "+r"(r0), "+r"(r1) : "r"(r2), "r"(r12) : "r3", "memory");
    return (int32_t)r0;
}

static inline uint64_t syscall_time(void) {
    register uint32_t r0 __asm__("r0");
    register uint32_t r1 __asm__("r1");
    register uint32_t r12 __asm__("r12") = SYS_TIME;
    __asm__ volatile("svc 0" : "=r"(r0), "=r"(r1) : "r"(r12) : "r2", "r3", "memory");
    return ((uint64_t)r1 << 32) | r0;
}
#endif

#endif
