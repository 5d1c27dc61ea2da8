// SPDX-License-Identifier: Apache-2.0
// In the place of boot. After each reset it says so, waits for a byte, puts the tables that the host has left in the
// flash over those of the image, and starts it: thousands of appliances, one after the other, in one image.
#include <stdint.h>

#define UART 0x40004000u // CMSDK APB UART: data, state, control, interrupt status
#define REGISTER(address) (*(volatile uint32_t *)(address))
#define STATE_TX_FULL 1u
#define STATE_RX_FULL 2u

struct patch {
    uint32_t address;
    uint32_t words;
    uint32_t data[];
};

__attribute__((used)) static void start(void) {
    REGISTER(UART + 0x10) = 16u; // baud divisor
    REGISTER(UART + 0x08) = 1u | 2u | 8u; // transmit, receive, receive interrupt
    REGISTER(0xE000E100u) = 1u;  // NVIC line 0, so that it ends WFI
    REGISTER(UART) = 'R';
    while ((REGISTER(UART + 0x04) & STATE_RX_FULL) == 0) {
        __asm__ volatile("dsb\n wfi");
    }
    (void)REGISTER(UART);
    REGISTER(UART + 0x0C) = 3u;
    REGISTER(0xE000E180u) = 1u;
    REGISTER(0xE000E280u) = 1u;
    const struct patch *patch = (const struct patch *)0x21200000u;
    while (patch->words != 0) {
        for (uint32_t i = 0; i < patch->words; i++) {
            ((volatile uint32_t *)patch->address)[i] = patch->data[i];
        }
        patch = (const struct patch *)&patch->data[patch->words];
    }
}

void reset(void);

__attribute__((naked)) void reset(void) {
    __asm__ volatile(
        "cpsid i               \n"
        "bl  start             \n"
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
