// SPDX-License-Identifier: Apache-2.0
// The window: the one place where the VM keeps its variables. Each enclave's contents are kept in its own memory
// while another enclave runs. Services have no part in it, so it moves only when another *enclave* is to run.
#include "monitor.h"

// The enclave whose contents the window has, as number + 1; 0: nobody's yet.
static uint8_t window_owner MONITOR_BSS;

// Eight words a turn by load and store multiple, in the low registers that every Cortex-M has for it. Of C the
// compiler makes a call of memcpy: measured with a window of 32 bytes, a yield to another enclave is 302 instructions
// this way and 770 that way.
static void copy(uint32_t *to, const uint32_t *from) {
    for (uint32_t blocks = (uint32_t)(__window_end - __window_start) / 8u; blocks != 0; blocks--) {
        __asm__ volatile(
            "ldmia %[from]!, {r2-r5} \n"
            "stmia %[to]!, {r2-r5}   \n"
            "ldmia %[from]!, {r2-r5} \n"
            "stmia %[to]!, {r2-r5}   \n"
            : [from] "+l"(from), [to] "+l"(to)
            :
            : "r2", "r3", "r4", "r5", "memory");
    }
}

static uint32_t *saved(uint8_t task) {
    return (uint32_t *)task_of(task)->window_save;
}

void window_close(void) {
    if (window_owner != 0) {
        copy(saved(window_owner - 1), __window_start);
        window_owner = 0;
    }
}

void window_open(uint8_t task) {
    if (window_owner == task + 1) {
        return;
    }
    window_close();
    copy(__window_start, saved(task));
    window_owner = task + 1;
}

void window_forget(uint8_t task) {
    // Its memory has been scrubbed, the saved contents with it: what is in the window need not be put away.
    if (window_owner == task + 1) {
        for (uint32_t *word = __window_start; word < __window_end; word++) {
            *word = 0;
        }
        window_owner = 0;
    }
}
