// SPDX-License-Identifier: Apache-2.0
// What the monitor remembers of each task, channel and gate. Private to the monitor; the generated tables.c
// includes it only to give the arrays their length.
#ifndef COFFRET_MONITOR_STATE_H
#define COFFRET_MONITOR_STATE_H

#include <stdint.h>

#include "coffret/core.h"
#include "coffret/section.h"
#include "coffret/syscall.h"
#include "coffret/tables.h"

enum task_status { // the values of task_info.state
    TASK_READY = 0,
    TASK_WAITING = 1,
    TASK_STOPPED = 2,
    TASK_BACKOFF = 3,
    TASK_ASLEEP = 4             // a worker that nobody needs
};

enum wait_for {
    WAIT_NONE = 0,
    WAIT_CHANNELS,      // a message in one of `channels`
    WAIT_PORT_READ,     // a byte from the management port
    WAIT_PORT_WRITE,    // room in the management port
    WAIT_EVIDENCE,      // the attester's reply
    WAIT_REQUEST,       // (attester) a request for evidence
    WAIT_REPLY,         // the reply to a call
    WAIT_ANSWER         // the next request on the one channel of `channels`
};

#define NEVER UINT64_MAX

struct task_state {
    struct core_context context; // first: core_current points to the state of whose registers it saves, too
    const struct task *task;
    uint64_t wake_at;           // microseconds; TASK_WAITING: the timeout, TASK_BACKOFF: the restart
    uint64_t started_at;        // microseconds
    uint32_t turn;              // of two ready tasks of one priority the one with the older turn runs
    uint32_t slice_ticks;       // what is left of its time slice
    uint32_t cpu_ms;
    uint32_t cpu_ticks;         // beyond it: less than a millisecond
    uint32_t faults;
    uint32_t restarts;
    uint32_t fault_address;
    uint32_t backoff_ms;        // delay before the next restart
    uint32_t channels;          // WAIT_CHANNELS
    uint32_t buffer;            // of a call that waits: checked when the call was made
    uint32_t length;
    uint32_t done;              // bytes of it that have been served
    uint8_t status;             // enum task_status
    uint8_t wait;               // enum wait_for
    uint8_t last_fault;         // enum fault_reason
    uint8_t served;             // of a worker: 1 + the channel whose message it has had
    uint8_t occupant;           // of a worker's body: 1 + the task that has the memory now
    uint8_t reserved[3];
};

struct channel_state {
    uint8_t head;               // next message to receive
    uint8_t count;              // of a call: 1 while a request waits, in the caller's own buffer
    uint8_t refused;            // a refusal has been logged: once, lest refusals become a channel to the log
    uint8_t owed;               // of a call: the receiver has the request and owes the reply
    uint32_t dropped;           // messages that found no room
};

struct gate_state {
    uint64_t window_end;        // microseconds
    uint32_t used;              // messages in this window
    uint32_t released;          // messages since boot
    uint8_t refused;            // the refusal in this window has been logged
    uint8_t reserved[7];
};

struct device_state {           // of a task
    uint64_t watchdog_at;       // microseconds
    uint32_t watchdog_ms;       // 0: not started
    uint32_t events;            // came, and were not asked for yet
};

// Defined by the generated tables.c with the lengths of coffret_counts and MONITOR_BSS, which puts them in
// section .monitor.bss.
extern struct task_state coffret_task_states[];
extern struct channel_state coffret_channel_states[];
extern struct gate_state coffret_gate_states[];
extern struct device_state coffret_device_states[]; // by task; in an image where a device was granted

#endif
