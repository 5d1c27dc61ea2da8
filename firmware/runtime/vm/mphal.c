// SPDX-License-Identifier: Apache-2.0
// MicroPython's hardware layer in terms of system calls: time, sleep, and print to the log.
#include "py/mphal.h"

#include <string.h>

#include "coffret/syscall.h"
#include "vm.h"

#define US_PER_MS 1000u
#define FOREVER 0xFFFFFFFFu

// In the enclave's own memory: what is in the window moves with every switch.
static struct vm_line *line;

void vm_start_output(struct vm_line *memory) {
    line = memory;
    line->length = 0;
}

void vm_flush_output(void) {
    if (line->length != 0) {
        syscall3(SYS_LOG, (uint32_t)line->text, line->length, 0);
        line->length = 0;
    }
}

void mp_hal_stdout_tx_strn_cooked(const char *text, size_t length) {
    for (; length != 0; text++, length--) {
        if (*text != '\n') {
            line->text[line->length++] = *text;
        }
        if (*text == '\n' || line->length == sizeof line->text) {
            vm_flush_output();
        }
    }
}

mp_uint_t mp_hal_ticks_us(void) {
    return (mp_uint_t)syscall_time();
}

mp_uint_t mp_hal_ticks_ms(void) {
    return (mp_uint_t)(syscall_time() / US_PER_MS);
}

void mp_hal_delay_ms(mp_uint_t ms) {
    // Waiting for no channel is sleeping. The largest value would mean for ever.
    vm_wait(0, ms < FOREVER ? ms : FOREVER - 1);
}

void mp_hal_delay_us(mp_uint_t us) {
    uint64_t until = syscall_time() + us;
    // The monitor counts milliseconds: sleep through the whole ones, then yield until it is time.
    if (us > US_PER_MS) {
        mp_hal_delay_ms(us / US_PER_MS - 1);
    }
    while (syscall_time() < until) {
        syscall3(SYS_YIELD, 0, 0, 0);
    }
}
