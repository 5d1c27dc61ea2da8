// SPDX-License-Identifier: Apache-2.0
// The Python virtual machine as the rest of the image sees it: one entry, shared by all enclaves.
#ifndef COFFRET_VM_H
#define COFFRET_VM_H

#include <stdint.h>

#include "coffret/tables.h"

// Entry of every enclave: runs `self->module`, never returns. The window must be zero and the stack pointer at
// the top of `self`'s stack. Ends with SYS_EXIT, or with SYS_FAULT after an uncaught exception.
_Noreturn void vm_main(const struct task *self);

// A debug image links the Python frames that run, so that a fault of the processor can be told with them: the first
// word of an enclave's heap points to the innermost. All of it is the enclave's own memory, and so an allegation.
struct vm_frame {
    struct vm_frame *outer;             // first: the heap's first word and this one are read alike
    const uint8_t *const *place;        // where the frame keeps the address of its current instruction
};

#endif
