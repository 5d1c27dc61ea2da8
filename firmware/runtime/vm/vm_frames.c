// SPDX-License-Identifier: Apache-2.0
// The Python frames that run, for the monitor to tell where a fault of the processor was. In a release image
// (firmware/appliance/profile.py) the interpreter is called directly.
#include "py/bc.h"
#include "vm.h"

#if COFFRET_TELLS_FRAMES

// What py/vm.c defines in place of mp_execute_bytecode (mpconfigport.h).
mp_vm_return_kind_t vm_execute_bytecode(mp_code_state_t *state, volatile mp_obj_t inject);

// An exception is what it returns, never a jump past it, so what is linked here is unlinked here.
mp_vm_return_kind_t mp_execute_bytecode(mp_code_state_t *state, volatile mp_obj_t inject) {
    struct vm_frame **innermost = vm_frames();
    struct vm_frame frame = {.outer = *innermost, .place = &state->ip};
    *innermost = &frame;
    mp_vm_return_kind_t how = vm_execute_bytecode(state, inject);
    *innermost = frame.outer;
    return how;
}

#endif
