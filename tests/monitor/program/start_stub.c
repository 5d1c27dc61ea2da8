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

__attribute__((section(".vectors"), used)) static const void *const vectors[16] = {(const void *)0x20400000, (const void *)reset};
