// SPDX-License-Identifier: Apache-2.0
// The monitor's parts as they see each other.
#ifndef COFFRET_MONITOR_H
#define COFFRET_MONITOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "coffret/handoff.h"
#include "image_config.h"
#include "state.h"

#define NO_TASK 0xFFu
#define TICK_HZ 1000u
#define SLICE_MS 10u
#define US_PER_MS 1000u
#define TICK_US (1000000u / TICK_HZ)

// Out of line: what is rare and uses much stack must not make the frames of every call larger.
#define RARE __attribute__((noinline))

// A system call that will be answered later; no error has this value.
#define CALL_WAITS INT32_MIN

// From the linker script.
extern uint8_t __image_start[], __image_end[];     // the running image: code and constants
extern uint32_t __window_start[], __window_end[];  // multiples of 64 bytes
extern uint32_t __monitor_start[], __monitor_end[];
extern const struct handoff __handoff;

// A pointer that a task passes: whether [address, address + length) lies in [base, base + size). No sum can overflow:
// lengths are compared, addresses never added.
static inline bool lies_inside(uint32_t address, uint32_t length, uint32_t base, uint32_t size) {
    return address >= base && length <= size && address - base <= size - length;
}

static inline const struct task *task_of(uint8_t number) {
    return &coffret_tasks[number];
}
static inline struct task_state *state_of(uint8_t number) {
    return &coffret_task_states[number];
}

// What the tables name of each kind; of what is not in this image (image_config.h) they name nothing.
static inline bool is_worker(const struct task *task) {
    return COFFRET_HAS_WORKERS && (task->flags & TASK_WORKER) != 0;
}
static inline bool is_summoned(const struct task *task) {
    return COFFRET_HAS_SUMMONED && (task->flags & TASK_SUMMONED) != 0;
}
static inline bool is_call_channel(const struct channel *channel) {
    return COFFRET_HAS_CALLS && channel->kind == CHANNEL_CALL;
}
static inline bool is_silent(const struct channel *channel) {
    return (COFFRET_HAS_EMIT && channel->kind == CHANNEL_EMIT) ||
           (COFFRET_HAS_REPORTS && channel->kind == CHANNEL_FAULTS);
}
static inline bool is_to_sink(const struct channel *channel) {
    return COFFRET_HAS_SINKS && (channel->to & CHANNEL_TO_SINK) != 0;
}

// ---- schedule.c ----
uint64_t monitor_now(void);                             // microseconds since boot, the same all through an entry to the monitor
uint32_t monitor_now_ms(void);                          // wraps after 49 days
void clock_forget(void);                                // a new entry: the clock is read when somebody asks
uint8_t current_task(void);                             // NO_TASK: idle
struct task_state *current_state(void);                 // of a task; not while it is idle
void schedule_start(void);
void set_status(uint8_t task, enum task_status status);
void schedule(void);                                    // decides who runs after this exception
void give_up_slice(uint8_t task);
void make_ready(uint8_t task);
void begin_anew(uint8_t task);                          // ready, with an empty window
bool has_fixed_slices(void);
bool is_in_slice(uint8_t task);                         // it may run now; always without fixed slices
// The task that runs waits: until somebody finishes it, or until `time` as well.
void wait_for_ever(enum wait_for what);
void wait_until(enum wait_for what, uint64_t time);
// Ends a wait with the call's result; nothing if the task does not wait for `what`.
void finish_wait(uint8_t task, enum wait_for what, int32_t result);
void end_wait(uint8_t task, int32_t result);            // of one that is known to wait for it
uint64_t deadline_after(uint32_t timeout_ms);           // 0xFFFFFFFF: NEVER

// ---- copy.c ----
void copy_bytes(uint32_t to, uint32_t from, uint32_t length); // a message, between memory that was checked

// ---- window.c ----
void window_open(uint32_t *saved);                      // what was kept there is in place, another enclave's is put away
void window_close(void);                                // put away, and nobody's
void window_forget(const uint32_t *saved);              // as zero as the memory of the task that keeps it there

// ---- task.c ----
void task_start(uint8_t task);                          // clean registers, ready
enum task_end { END_EXIT, END_FAULT };
void task_end(uint8_t task, enum task_end how, uint8_t reason, uint32_t address);
void task_scrub(uint8_t task);
uint32_t task_instruction(uint8_t task);                // where it was; 0 if its stack does not say
int32_t task_account(uint8_t asker, uint32_t task, uint32_t to);

// ---- worker.c ----
void worker_summon(uint8_t task);                       // starts it if it sleeps, has work, and its memory is free
void worker_release(uint8_t task);                      // it is wiped: its memory is the next one's
bool worker_is_done(uint8_t task);                      // it may have nothing more to receive

// ---- allegation.c ----
// For calls that wait: not the window.
static inline bool is_own_memory(const struct task *task, uint32_t address, uint32_t length) {
    return length == 0 || lies_inside(address, length, task->memory_base, task->memory_size);
}
bool may_read(const struct task *task, uint32_t address, uint32_t length);
bool may_write(const struct task *task, uint32_t address, uint32_t length);

// ---- channel.c ----
int32_t channel_send(uint8_t from, uint32_t number, uint32_t message, uint32_t length);
int32_t channel_receive(uint8_t to, uint32_t number, uint32_t buffer, uint32_t capacity);
uint32_t channels_readable(uint8_t to, uint32_t mask);
int32_t channels_wait(uint8_t to, uint32_t mask, uint32_t timeout_ms);
int32_t channel_dropped(uint8_t to, uint32_t number);
void channels_tell_fault(uint8_t from, const struct fault_report *report);
void channels_catch_up(uint8_t to);                     // what came while it was not its slice
void channel_forget_served(uint8_t to);                 // the message of a summoned worker is done with
bool channel_may_send(uint32_t number, const struct gate **gate);
int32_t channel_refuse(uint32_t number);
void channel_notify(uint32_t number);                   // there is something for its receiver

// ---- call.c ----
int32_t call_make(uint8_t from, uint32_t number, uint32_t buffer, uint32_t lengths);
int32_t call_take(uint8_t to, uint32_t number, uint32_t buffer, uint32_t capacity);
int32_t call_reply(uint8_t to, uint32_t number, uint32_t reply, uint32_t length);
int32_t call_answer(uint8_t to, uint32_t number, uint32_t buffer, uint32_t lengths);
void call_deliver(uint32_t number);                     // to a receiver that waits in SYS_ANSWER
void calls_forget(uint8_t task, bool for_ever);         // it has ended: nobody waits for it

// ---- gate.c ----
void gates_start(void);                                 // after storage_start
int32_t gate_admit(uint8_t number, uint32_t length);    // 0 or an error; counts nothing
void gate_count(uint8_t number);
bool gate_tell(uint8_t number, struct gate_info *info); // false: nobody is told of this one

// ---- device.c, in an image where a device was granted ----
int32_t device_call(uint8_t task, uint32_t a, uint32_t b, uint32_t c);
bool device_interrupt(uint32_t irq);                    // false: no enclave's
void device_reset(uint8_t task);                        // its devices and pins are as before it ran
void device_tick(void);

// ---- log.c ----
void log_text(uint8_t who, const uint8_t *text, uint32_t length);
void log_event(const char *what, const char *name);
void log_release(const char *what, const char *gate);   // what no other entry may push out
void log_fault(uint8_t task, uint8_t reason, uint32_t address);
int32_t log_read(uint32_t from, uint8_t *to, uint32_t capacity);

// ---- port.c ----
void port_guard_trial(void);                            // at the start
int32_t port_read(uint8_t task, uint32_t buffer, uint32_t capacity, uint32_t timeout_ms);
int32_t port_write(uint8_t task, uint32_t data, uint32_t length);
void port_read_timeout(uint8_t task);                   // gives what is there
void port_serve(void);                                  // somebody who waits for the port may go on

// ---- storage.c ----
void storage_start(void);
int32_t storage_erase(uint32_t offset, uint32_t length);
int32_t storage_program(uint32_t offset, const void *data, uint32_t length);
int32_t storage_get(uint32_t key, void *to, uint32_t capacity);
int32_t storage_put(uint32_t key, const void *data, uint32_t length);
int32_t storage_get_budgets(void *to, uint32_t capacity);
int32_t storage_put_budgets(const void *data, uint32_t length);
int32_t storage_mark_test(void);
int32_t storage_confirm(void);
int32_t storage_reset(uint32_t mode);

// ---- evidence.c ----
int32_t evidence_request(uint8_t task, uint32_t request);
int32_t evidence_next(uint8_t task, uint32_t nonce, uint32_t capacity);
int32_t evidence_done(uint8_t task, uint32_t piece, uint32_t length, uint32_t end);
void evidence_forget(uint8_t task);                     // it has ended: nobody waits for it for ever
int32_t evidence_identity(uint8_t task, uint32_t to);

#endif
