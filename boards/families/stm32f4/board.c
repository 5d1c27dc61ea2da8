// SPDX-License-Identifier: Apache-2.0
// Clocks, pins, time base, watchdog, random numbers and reset of the STM32F405.
#include "board_config.h"
#include "coffret/board.h"
#include "coffret/section.h"
#include "line.h"
#include "registers.h"
#include "stm32f4.h"

#define CRYSTAL_MHZ 12u
_Static_assert(BOARD_CLOCK_HZ == 168000000u, "start_clocks sets the PLL for 168 MHz");

MONITOR_BSS static struct {
    uint32_t started; // the counter then: not 0 everywhere, though it was told to begin anew
    uint32_t low;     // since then, at the last call
    uint32_t high;
} time;

static void start_clocks(void) {
    if (!clock_is_pll()) { // boot has done it when the image comes here
        oscillator_start();
        pll_start(CRYSTAL_MHZ, 336u, 2u, 7u); // 1 MHz x 336 / 2; / 7 = 48 MHz
        flash_interface_start(5u);            // slower first, then the faster clock
        clock_use_pll();
    }
    register_set(RCC_AHB1ENR, 7u);                                   // pins A, B and C
    register_set(RCC_AHB2ENR, 1u << 6);                              // random numbers
    register_set(RCC_APB1ENR, 1u | 1u << 17);                        // timer 2, USART2
    register_set(RCC_APB2ENR, 1u << 4 | 1u << 14);                   // USART1, lines of interrupts
    (void)register_read(RCC_APB2ENR);                                // they need two cycles (section 7.2.15)
}

#define PIN_USART 7u // data sheet DS8626, table 9

static void start_pins(void) {
    pin_alternate(GPIOB, 6u, PIN_USART); // X9: management, sends
    pin_alternate(GPIOB, 7u, PIN_USART);
    pin_pull(GPIOB, 7u, GPIO_PULL_UP);
    pin_alternate(GPIOA, 2u, PIN_USART); // X3: stream 0, sends
    pin_alternate(GPIOA, 3u, PIN_USART);
    pin_pull(GPIOA, 3u, GPIO_PULL_UP);
}

void board_init(void) {
    start_clocks();
    start_pins();
    timer_run_freely(BOARD_TIME_BASE, BOARD_CLOCK_HZ);
    time.started = board_ticks();
    time.low = 0u;
    time.high = 0u;
    line_start(BOARD_PORT_BASE);
}

uint32_t board_ticks(void) { return timer_microseconds(BOARD_TIME_BASE); }

uint64_t board_microseconds(void) {
    uint32_t now = board_ticks() - time.started;
    time.high += now < time.low ? 1u : 0u; // right across one wrap, which is 71 minutes
    time.low = now;
    return (uint64_t)time.high << 32 | now;
}

void board_reset(void) { scb_reset(); }

enum board_reset_cause board_reset_cause(void) {
    uint32_t reasons = register_read(RCC_CSR);
    register_set(RCC_CSR, RCC_CSR_FORGET);
    if ((reasons & RCC_CSR_WATCHDOG) != 0u) {
        return BOARD_RESET_WATCHDOG;
    }
    if ((reasons & RCC_CSR_SOFTWARE) != 0u) {
        return BOARD_RESET_SOFTWARE;
    }
    return (reasons & RCC_CSR_POWER_ON) != 0u ? BOARD_RESET_POWER_ON : BOARD_RESET_UNKNOWN;
}

// False: none within the 40 cycles of 48 MHz that one takes (section 24.3), or a health test failed.
static bool random_word(uint32_t *word) {
    for (uint32_t tries = 0; tries < 1000u; tries++) {
        uint32_t status = register_read(RNG_SR);
        if ((status & RNG_ERRORS) != 0u) {
            return false;
        }
        if ((status & RNG_READY) != 0u) {
            *word = register_read(RNG_DR);
            return true;
        }
    }
    return false;
}

// The first word is not used, and each is compared with the one before it (section 24.3.1, FIPS 140-2).
size_t board_entropy(uint8_t *data, size_t length) {
    register_write(RNG_CR, 1u << 2);
    uint32_t before, word;
    size_t done = 0;
    bool good = random_word(&before);
    while (good && done < length) {
        good = random_word(&word) && word != before;
        for (uint32_t i = 0; good && i < 4u && done < length; i++) {
            data[done++] = (uint8_t)(word >> 8u * i);
        }
        before = word;
    }
    register_write(RNG_CR, 0u);
    return good ? done : 0u;
}

// Its oscillator has 17 to 47 kHz (DS8626, table 35): counted at the fastest, so that it never comes too early.
bool board_watchdog_start(uint32_t timeout_ms) {
    if (timeout_ms == 0u || timeout_ms > WATCHDOG_LOAD_MAX * 256u / 47u) {
        return false;
    }
    watchdog_start(BOARD_WATCHDOG_BASE, timeout_ms * 47u / 256u + 1u);
    return true;
}

void board_watchdog_feed(void) { watchdog_feed(BOARD_WATCHDOG_BASE); }
