// SPDX-License-Identifier: Apache-2.0
// Starts MicroPython's port to QEMU, in the place of its mcu/arm/startup.c and errorhandler.c: those have C
// statements in naked functions, which only GCC takes.
#include <stdint.h>

#include "libc.h"
#include "uart.h"

extern uint32_t _estack[], _sidata[], _sdata[], _edata[], _sbss[], _ebss[];
int main(int argc, char **argv);

_Noreturn void exit(int status) {
    (void)status;
    // Semihosting SYS_EXIT (Arm IHI 0100, operation 0x18) with ADP_Stopped_ApplicationExit.
    register uint32_t operation __asm__("r0") = 0x18;
    register uint32_t reason __asm__("r1") = 0x20026;
    __asm__ volatile("bkpt 0xab" : : "r"(operation), "r"(reason));
    for (;;) {
    }
}

_Noreturn void abort(void) {
    exit(1);
}

void reset(void);
void reset(void) {
    for (uint32_t *from = _sidata, *to = _sdata; to < _edata;) {
        *to++ = *from++;
    }
    for (uint32_t *word = _sbss; word < _ebss; word++) {
        *word = 0;
    }
    uart_init();
    main(0, (char **)0);
    exit(0);
}

__attribute__((section(".isr_vector"), used)) static const void *const vectors[16] = {
    [0] = (const void *)_estack, [1] = (const void *)reset, [2] = (const void *)abort, [3] = (const void *)abort,
    [4] = (const void *)abort,   [5] = (const void *)abort, [6] = (const void *)abort,
};
