// SPDX-License-Identifier: Apache-2.0
// The window: the one place where the VM keeps its variables. Each enclave's contents are kept in its own memory
// while another enclave runs. Services have no part in it, so it moves only when another *enclave* is to run.
#include "monitor.h"

// Where the contents of the window belong: in the memory of an enclave. NULL: they are nobody's.
static uint32_t *window_home MONITOR_BSS;

// Sixteen words a turn, by load and store multiple, the whole loop in assembly: the compiler's takes twice as long, its
// call of memcpy four times.
#if defined(__ARM_ARCH_6M__) // knows the low registers only
#define MOVE(to, from)                \
    "ldmia %[" from "]!, {r4-r7} \n" \
    "stmia %[" to "]!, {r4-r7}   \n" \
    "ldmia %[" from "]!, {r4-r7} \n" \
    "stmia %[" to "]!, {r4-r7}   \n"
#define MOVED "r4", "r5", "r6", "r7", "cc", "memory"
#else
#define MOVE(to, from)                 \
    "ldmia %[" from "]!, {r4-r11} \n" \
    "stmia %[" to "]!, {r4-r11}   \n"
#define MOVED "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "cc", "memory"
#endif

// The window has a multiple of sixteen words, and at least so many (firmware/compiler/link.py).
static void copy(uint32_t *to, const uint32_t *from) {
    __asm__ volatile("1: \n" MOVE("to", "from") MOVE("to", "from") "cmp %[from], %[end] \n bne 1b \n"
                     : [from] "+l"(from), [to] "+l"(to)
                     : [end] "h"(from + (__window_end - __window_start))
                     : MOVED);
}

// What is in the window goes to `old`, and what is in `next` into it.
static void exchange(uint32_t *old, const uint32_t *next) {
    uint32_t *from = __window_start, *to = __window_start;
    __asm__ volatile("1: \n" MOVE("old", "from") MOVE("to", "next") MOVE("old", "from") MOVE("to", "next") "cmp %[from], %[end] \n bne 1b \n"
                     : [from] "+l"(from), [to] "+l"(to), [old] "+l"(old), [next] "+l"(next)
                     : [end] "h"(__window_end)
                     : MOVED);
}

void window_close(void) {
    if (window_home != NULL) {
        copy(window_home, __window_start);
        window_home = NULL;
    }
}

void window_open(uint32_t *saved) {
    if (window_home == saved) {
        return;
    }
    if (window_home != NULL) {
        exchange(window_home, saved);
    } else {
        copy(__window_start, saved);
    }
    window_home = saved;
}

void window_forget(const uint32_t *saved) {
    // Its memory has been scrubbed, the saved contents with it: what is in the window need not be put away.
    if (window_home == saved && saved != NULL) {
        for (uint32_t *word = __window_start; word < __window_end; word++) {
            *word = 0;
        }
        window_home = NULL;
    }
}
