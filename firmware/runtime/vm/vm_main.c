// SPDX-License-Identifier: Apache-2.0
// Entry of an enclave: sets the virtual machine up, runs the enclave's module, reports how it ended.
#include "coffret/vm.h"

#include <string.h>

#include "coffret/syscall.h"
#include "py/cstack.h"
#include "py/gc.h"
#include "py/runtime.h"
#include "shared/runtime/gchelper.h"
#include "vm.h"

const struct task *vm_self;

static _Noreturn void end(enum syscall call, uint32_t reason) {
    vm_flush_output();
    for (;;) {
        // Neither call returns; should a monitor ever let one, nothing else may run.
        syscall3(call, reason, 0, 0);
    }
}

static _Noreturn void end_with_exception(mp_obj_base_t *exception) {
    mp_obj_t type = MP_OBJ_FROM_PTR(exception->type);
    if (mp_obj_is_subclass_fast(type, MP_OBJ_FROM_PTR(&mp_type_SystemExit))) {
        end(SYS_EXIT, 0);
    }
    vm_flush_output(); // an unfinished line stays a line of its own
    mp_obj_print_exception(&mp_plat_print, MP_OBJ_FROM_PTR(exception));
    end(SYS_FAULT, type == MP_OBJ_FROM_PTR(&mp_type_MemoryError) ? FAULT_OUT_OF_MEMORY : FAULT_EXCEPTION);
}

_Noreturn void vm_main(const struct task *self) {
    vm_self = self;
    mp_cstack_init_with_top((void *)(self->stack_base + self->stack_size), self->stack_size);
    uint32_t heap_size = self->heap_size <= COFFRET_HEAP_MAX ? self->heap_size : COFFRET_HEAP_MAX;
    uint32_t line = self->heap_base + VM_HEAD_BYTES;
    vm_start_output((struct vm_line *)line);
    gc_init((void *)(line + sizeof(struct vm_line)), (void *)(self->heap_base + heap_size));

    nlr_buf_t nlr;
    if (nlr_push(&nlr) != 0) {
        end_with_exception(nlr.ret_val);
    }
    mp_init();
    if (!vm_run_frozen(self->module, strlen(self->module), mp_globals_get())) {
        mp_raise_msg(&mp_type_ImportError, MP_ERROR_TEXT("module not found"));
    }
    end(SYS_EXIT, 0);
}

void gc_collect(void) {
    gc_collect_start();
    gc_helper_collect_regs_and_stack();
    gc_collect_end();
}

// An exception with no handler at all: only possible outside vm_main's own.
void nlr_jump_fail(void *val) {
    (void)val;
    end(SYS_FAULT, FAULT_EXCEPTION);
}
