// SPDX-License-Identifier: Apache-2.0
// What the files of the glue share.
#ifndef COFFRET_VM_PRIVATE_H
#define COFFRET_VM_PRIVATE_H

#include "coffret/syscall.h"
#include "coffret/tables.h"
#include "coffret/vm.h"
#include "py/obj.h"

// The running enclave. In the window, so every enclave sees its own.
extern const struct task *vm_self;

// Runs a frozen module in the given globals. False if no module of that import name is in the image.
bool vm_run_frozen(const char *name, size_t length, mp_obj_dict_t *globals);

// Waits for one of these channels, at most so long (0xFFFFFFFF: for ever): a mask of those that are readable. Where the
// appliance has handlers of interrupts or timers they run here.
#if MICROPY_PY_MACHINE_EVENTS
uint32_t vm_wait(uint32_t channels, uint32_t timeout_ms);
// Runs the handlers whose time has come: whether there were any.
bool vm_serve(void);
// The same as vm_wait, but serves nothing before it waits and returns as soon as a handler ran.
uint32_t vm_pause(uint32_t channels, uint32_t timeout_ms);
#else
static inline uint32_t vm_wait(uint32_t channels, uint32_t timeout_ms) {
    return (uint32_t)syscall3(SYS_WAIT, channels, timeout_ms, 0);
}
static inline bool vm_serve(void) {
    return false;
}
static inline uint32_t vm_pause(uint32_t channels, uint32_t timeout_ms) {
    return vm_wait(channels, timeout_ms);
}
#endif

#if MICROPY_PY_ENCLAVE
bool vm_is_input(mp_obj_t object);
// The bit of vm_wait for an Input or a Service. Raises TypeError for anything else, ValueError beyond the mask.
uint32_t vm_wait_bit(mp_obj_t input);
#else
static inline bool vm_is_input(mp_obj_t object) {
    (void)object;
    return false;
}
static inline uint32_t vm_wait_bit(mp_obj_t input) {
    (void)input;
    return 0;
}
#endif

// print() comes in pieces; one entry of the log is one line.
struct vm_line {
    uint32_t length;
    char text[120]; // SYS_LOG cuts longer ones
};
void vm_start_output(struct vm_line *memory);

// In a debug image the heap begins with a pointer to the innermost frame (coffret/vm.h).
#if COFFRET_TELLS_FRAMES
#define VM_HEAD_BYTES sizeof(struct vm_frame *)
static inline struct vm_frame **vm_frames(void) {
    return (struct vm_frame **)vm_self->heap_base;
}
#else
#define VM_HEAD_BYTES 0u
#endif

// Writes what print() has left without an end of line to the log.
void vm_flush_output(void);

#endif
