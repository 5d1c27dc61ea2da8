// SPDX-License-Identifier: Apache-2.0
// Clocks, pins, time base, watchdog and reset of the RP2040.
#include "board_config.h"
#include "coffret/board.h"
#include "coffret/section.h"
#include "registers.h"
#include "rp2040.h"

#define CRYSTAL_HZ 12000000u // Hardware design with RP2040, section 2.4.4: what boards use, and the boot ROM expects
#define PINS 30u
#define PIN_UART0_TX 0u
#define PIN_UART0_RX 1u

_Static_assert(BOARD_CLOCK_HZ == 125000000u, "start_clocks sets the system PLL for 125 MHz");
_Static_assert(BOARD_CLOCK_HZ <= 0xFFFFFFFFu / 4u - BOARD_PORT_BAUD, "uart_start multiplies by four");

MONITOR_BSS static uint64_t started_at;
MONITOR_BSS static uint32_t watchdog_load;  // 0: not started

// Boot has done the same when the image comes here, so each clock leaves what it runs from before that is changed.
static void start_clocks(void) {
    xosc_start(CRYSTAL_HZ);
    clock_switch(CLOCK_REF, CLOCK_REF_CRYSTAL);
    clock_switch(CLOCK_SYS, CLOCK_SYS_REFERENCE);
    block_reset(RESET_PLL_SYS | RESET_PLL_USB);
    block_release(RESET_PLL_SYS | RESET_PLL_USB);
    pll_start(PLL_SYS_BASE, 125u, 6u, 2u); // 12 MHz x 125 = 1500 MHz, / 12
    pll_start(PLL_USB_BASE, 100u, 5u, 5u); // 12 MHz x 100 = 1200 MHz, / 25 = 48 MHz
    clock_switch(CLOCK_SYS, CLOCK_SYS_PLL);
    clock_enable(CLOCK_PERI);
    clock_enable(CLOCK_USB);
}

static void start_pins(void) {
    for (uint32_t pin = 0; pin < PINS; pin++) {
        pin_function(pin, PIN_SIO); // an input until somebody drives it
    }
    pin_function(PIN_UART0_TX, PIN_UART);
    pin_function(PIN_UART0_RX, PIN_UART);
}

BOOT_STEP void board_init(void) {
    start_clocks();
    watchdog_tick(BOARD_WATCHDOG_BASE, CRYSTAL_HZ);
    block_release(RESET_IO_BANK0 | RESET_PADS_BANK0 | RESET_TIMER | RESET_UART0);
    start_pins();
    uart_start(BOARD_PORT_BASE, BOARD_CLOCK_HZ, BOARD_PORT_BAUD);
    started_at = timer_read(BOARD_TIME_BASE);
}

uint32_t board_ticks(void) { return timer_low(BOARD_TIME_BASE); }

uint64_t board_microseconds(void) { return timer_read(BOARD_TIME_BASE) - started_at; }

// The watchdog resets everything, the clocks and the flash interface included; SYSRESETREQ would leave them as they are.
void board_reset(void) {
    cpu_interrupts_disable();
    register_write(PSM_WDSEL, PSM_EVERYTHING_BUT_OSCILLATORS);
    register_write(BOARD_WATCHDOG_BASE, WATCHDOG_TRIGGER);
    for (;;) {
        cpu_data_barrier();
    }
}

enum board_reset_cause board_reset_cause(void) {
    uint32_t reason = watchdog_reason(BOARD_WATCHDOG_BASE);
    if ((reason & WATCHDOG_BY_FORCE) != 0u) {
        return BOARD_RESET_SOFTWARE;
    }
    if ((reason & WATCHDOG_BY_TIMER) != 0u) {
        return BOARD_RESET_WATCHDOG;
    }
    uint32_t chip = register_read(CHIP_RESET);
    return (chip & (CHIP_RESET_POWER_ON | CHIP_RESET_RUN_PIN)) != 0u ? BOARD_RESET_POWER_ON : BOARD_RESET_UNKNOWN;
}

size_t board_entropy(uint8_t *data, size_t length) {
    (void)data;
    (void)length;
    return 0; // the ring oscillator's random bit is not meant for secrets (section 2.17.5)
}

bool board_watchdog_start(uint32_t timeout_ms) {
    // It counts two for each tick (erratum RP2040-E1).
    if (timeout_ms == 0u || timeout_ms > WATCHDOG_LOAD_MAX / 2000u) {
        return false;
    }
    watchdog_load = timeout_ms * 2000u;
    register_write(PSM_WDSEL, PSM_EVERYTHING_BUT_OSCILLATORS);
    board_watchdog_feed();
    register_write(BOARD_WATCHDOG_BASE, WATCHDOG_ENABLE);
    return true;
}

void board_watchdog_feed(void) {
    if (watchdog_load != 0u) {
        register_write(BOARD_WATCHDOG_BASE + 0x04u, watchdog_load);
    }
}
