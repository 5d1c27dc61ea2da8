// SPDX-License-Identifier: Apache-2.0
// The part's start, and what of it is Non-secure. Flash and RAM are the Secure world's unless the SAU says otherwise: the
// part's own map leaves both to it (IDAU, data sheet, section 10.2.2). Devices are nobody's in that map; the access control
// block in front of them asks for the world (section 10.6).
#include "gateways.h"
#include "rp2350.h"
#include "secure.h"

#define CRYSTAL_HZ 12000000u // Pico 2 data sheet; the boot ROM's USB expects it
#define PIN_UART0_TX 0u
#define PIN_UART0_RX 1u
#define PIN_UART1_TX 4u
#define PIN_UART1_RX 5u
#define UART0_IRQ 33u // section 3.2
#define UART1_IRQ 34u
#define SAU_REGIONS 8u

_Static_assert(BOARD_CLOCK_HZ == 150000000u, "start_clocks sets the system PLL for 150 MHz");
_Static_assert(BOARD_PORT_IRQ_RX == UART0_IRQ, "the port is UART0");

// The boot ROM guards its functions by the redundancy coprocessor, number 7 (section 3.6.3).
#define SCS_CPACR 0xE000ED88u
static void open_redundancy_coprocessor(void) { scs_write(SCS_CPACR, 3u << 14); }

// ---- the part's start ----

// Perhaps boot ran before and only the processor was reset: each clock leaves what it runs from before that is changed.
static void start_clocks(void) {
    xosc_start(CRYSTAL_HZ);
    clock_switch(CLOCK_REF, CLOCK_REF_CRYSTAL);
    clock_switch(CLOCK_SYS, CLOCK_SYS_REFERENCE);
    block_reset(RESET_PLL_SYS);
    block_release(RESET_PLL_SYS);
    pll_start(PLL_SYS_BASE, 125u, 5u, 2u); // 12 MHz x 125 = 1500 MHz, / 10
    clock_switch(CLOCK_SYS, CLOCK_SYS_PLL);
    clock_enable(CLOCK_PERI);
    tick_start(TICK_TIMER0, CRYSTAL_HZ);
    tick_start(TICK_WATCHDOG, CRYSTAL_HZ);
}

// Every other pin stays isolated, as the reset left it.
static void start_pins(void) {
    uint32_t out = PAD_DRIVE_4_MA | PAD_SCHMITT, in = PAD_INPUT_ENABLE | PAD_PULL_UP | PAD_SCHMITT;
    pin_connect(PIN_UART0_TX, PIN_UART, out);
    pin_connect(PIN_UART0_RX, PIN_UART, in);
    pin_connect(PIN_UART1_TX, PIN_UART, out);
    pin_connect(PIN_UART1_RX, PIN_UART, in);
}

// ---- the two worlds ----

static void attribute_memory(void) {
    for (uint32_t region = 0; region < SAU_REGIONS; region++) {
        sau_clear_region(region); // the boot ROM has used some
    }
    sau_set_region(0u, GATEWAYS_BASE, GATEWAYS_BASE + GATEWAYS_SIZE, SAU_CALLABLE);
    sau_set_region(1u, BOARD_RAM_BASE, BOARD_RAM_BASE + BOARD_RAM_SIZE, SAU_NON_SECURE);
    sau_set_region(2u, BOARD_FLASH_BASE + BOARD_SLOT_A_OFFSET, BOARD_FLASH_BASE + BOARD_SLOT_A_OFFSET + BOARD_SLOT_SIZE,
                   SAU_NON_SECURE);
    sau_set_region(3u, BOARD_FLASH_BASE + BOARD_SLOT_B_OFFSET, BOARD_FLASH_BASE + BOARD_SLOT_B_OFFSET + BOARD_SLOT_SIZE,
                   SAU_NON_SECURE);
    sau_enable();
}

// The image's: time base, port, stream; by this processor alone. No DMA: the SAU does not bind it.
static void open_devices(void) {
    for (uint32_t block = ACCESS_DMA; block <= ACCESS_XIP_AUX; block += 4u) {
        access_set(block, access_get(block) & ~ACCESS_NON_SECURE);
    }
    uint32_t shared = ACCESS_CORE0 | ACCESS_SECURE | ACCESS_NON_SECURE_PRIVILEGED;
    access_set(ACCESS_TIMER0, shared);
    access_set(ACCESS_UART0, shared);
    access_set(ACCESS_UART1, shared);
    access_close_pins();
    access_force_core1();
    access_lock();
}

void board_separate_worlds(void) {
    scb_set_vector_table(BOARD_BOOT_BASE);
    open_redundancy_coprocessor();
    start_clocks();
    block_release(RESET_IO_BANK0 | RESET_PADS_BANK0 | RESET_TIMER0 | RESET_UART0 | RESET_UART1);
    start_pins();
    attribute_memory();
    open_devices();
    nvic_target_non_secure(1u, 1u << (UART0_IRQ - 32u) | 1u << (UART1_IRQ - 32u));
}

// For the flash driver: the boot ROM's functions, and where the cache is told to forget (section 4.4.1).
#define ROM_SIZE 0x8000u
#define XIP_MAINTENANCE 0x18000000u
#define XIP_MAINTENANCE_SIZE 0x01000000u

void board_map_secure(uint32_t region) {
    secure_set_region(region, 0u, ROM_SIZE, MPU_PRIVILEGED_RO_EXECUTED, MPU_NORMAL);
    secure_set_region(region + 1u, XIP_MAINTENANCE, XIP_MAINTENANCE + XIP_MAINTENANCE_SIZE,
                      MPU_PRIVILEGED_RW_NEVER_EXECUTED, MPU_DEVICE);
}
