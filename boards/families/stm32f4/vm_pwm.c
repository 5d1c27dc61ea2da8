// SPDX-License-Identifier: Apache-2.0
// PWM by timer 3 (section 18.4: CR1 0x00, EGR 0x14, CCMR1 0x18, CCMR2 0x1C, CCER 0x20, PSC 0x28, ARR 0x2C, CCR1 0x34 to
// CCR4 0x40): one counter, so all pins have one frequency; four channels. Pins of one channel show the same.
#include "board_config.h"
#include "machine/driver.h"
#include "stm32f4.h"

#define TIMER_HZ (BOARD_CLOCK_HZ / 2u) // twice its bus's clock (section 7.2)
#define STEPS_MAX 65535u // one less than the counter has, so that a pin can be high all the time
#define DIVIDER_MAX 65536u
#define MODE_PWM_PRELOADED (6u << 4 | 1u << 3) // high while the counter is below CCR, which changes at a period's end
#define RUN (1u << 7 | 1u) // ARR changes at a period's end too

// DS8626, table 9. X7 and X8, Y11 and Y12, Y1 and Y2, the blue LED: PA6 PA7 PB0 PB1 PC6 PC7 PB4.
static uint32_t channel(uint32_t pin) {
    switch (pin) {
        case 7u: case 39u: return 1u;
        case 16u: return 2u;
        case 17u: return 3u;
        default: return 0u;
    }
}

static uint32_t level(uint32_t base, uint32_t pin) { return base + 0x34u + 4u * channel(pin); }

uint32_t driver_pwm_start(uint32_t base, uint32_t pin, uint32_t hz) {
    (void)pin;
    uint32_t ticks = TIMER_HZ / hz; // in one period
    uint32_t divider = (ticks + STEPS_MAX - 1u) / STEPS_MAX;
    divider = divider == 0u ? 1u : divider;
    uint32_t steps = ticks / divider;
    if (divider > DIVIDER_MAX || steps < 2u) {
        return 0;
    }
    bool runs = (register_read(base) & 1u) != 0u;
    register_write(base + 0x28u, divider - 1u);
    register_write(base + 0x2Cu, steps - 1u);
    if (!runs) {
        register_write(base + 0x14u, 1u); // takes both over
        register_write(base, RUN);
    }
    return steps;
}

uint32_t driver_pwm_steps(uint32_t base, uint32_t pin) {
    (void)pin;
    return register_read(base + 0x2Cu) + 1u;
}

uint32_t driver_pwm_hz(uint32_t base, uint32_t pin) {
    uint64_t period = (uint64_t)(register_read(base + 0x28u) + 1u) * driver_pwm_steps(base, pin);
    return (uint32_t)((TIMER_HZ + period / 2u) / period);
}

void driver_pwm_set(uint32_t base, uint32_t pin, uint32_t steps_high, bool invert) {
    uint32_t number = channel(pin);
    uint32_t mode = base + (number < 2u ? 0x18u : 0x1Cu), shift = 8u * (number & 1u);
    register_write(level(base, pin), steps_high);
    register_write(mode, (register_read(mode) & ~(0xFFu << shift)) | MODE_PWM_PRELOADED << shift);
    uint32_t outputs = register_read(base + 0x20u) & ~(0xFu << 4u * number);
    register_write(base + 0x20u, outputs | (1u | (uint32_t)invert << 1) << 4u * number);
}

void driver_pwm_stop(uint32_t base, uint32_t pin) { register_clear(base + 0x20u, 1u << 4u * channel(pin)); }
