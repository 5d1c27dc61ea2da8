// SPDX-License-Identifier: Apache-2.0
// The Python virtual machine as the rest of the image sees it: one entry, shared by all enclaves.
#ifndef COFFRET_VM_H
#define COFFRET_VM_H

#include "coffret/tables.h"

// Entry of every enclave: runs `self->module`, never returns. The window must be zero and the stack pointer at
// the top of `self`'s stack. Ends with SYS_EXIT, or with SYS_FAULT after an uncaught exception.
_Noreturn void vm_main(const struct task *self);

#endif
