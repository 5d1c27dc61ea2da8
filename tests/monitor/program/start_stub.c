// SPDX-License-Identifier: Apache-2.0
// In the place of boot: jumps to the image in slot A and does no more.

void reset(void);

__attribute__((naked)) void reset(void) {
    __asm__ volatile(
        "ldr r0, =0x21000200   \n"
        "ldr r1, =0xE000ED08   \n" // VTOR
        "str r0, [r1]          \n"
        "dsb                   \n"
        "ldr r1, [r0]          \n"
        "msr msp, r1           \n"
        "ldr r0, [r0, #4]      \n"
        "bx  r0                \n"
        ".ltorg                \n");
}

__attribute__((section(".vectors"), used)) static const void *const vectors[65] = {
    (const void *)0x20400000, (const void *)reset,
    // At 0x100, where the real boot has its services: bx lr, for whoever finds a way to call it.
    [64] = (const void *)0x47704770};
