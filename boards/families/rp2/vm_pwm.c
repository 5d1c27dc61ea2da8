// SPDX-License-Identifier: Apache-2.0
// PWM (section 4.5): slice n at 0x14 n: CSR 0x00 (enable 0, invert A 2, invert B 3), DIV 0x04 (8.4 bits), CC 0x0C (A low,
// B high half), TOP 0x10. A pin shows slice pin / 2 (of eight), an even one its output A.
#include "board_config.h"
#include "machine/driver.h"
#include "rp2040.h"

#define STEPS_MAX 65535u // one less than the counter has, so that a pin can be high all the time
#define DIV_ONE 16u
#define DIV_MAX 4095u

static uint32_t slice(uint32_t base, uint32_t pin) { return base + 0x14u * (pin / 2u % 8u); }

uint32_t driver_pwm_start(uint32_t base, uint32_t pin, uint32_t hz) {
    // The smallest divider in sixteenths with which the period fits.
    uint64_t ticks = (uint64_t)BOARD_CLOCK_HZ * DIV_ONE / hz; // sixteenths of a clock in one period
    uint64_t divider = (ticks + STEPS_MAX - 1u) / STEPS_MAX;
    divider = divider < DIV_ONE ? DIV_ONE : divider;
    uint64_t steps = ticks / divider;
    if (divider > DIV_MAX || steps < 2u) {
        return 0;
    }
    register_write(slice(base, pin) + 0x04u, (uint32_t)divider);
    register_write(slice(base, pin) + 0x10u, (uint32_t)steps - 1u);
    register_set(slice(base, pin), 1u);
    return (uint32_t)steps;
}

uint32_t driver_pwm_steps(uint32_t base, uint32_t pin) { return register_read(slice(base, pin) + 0x10u) + 1u; }

uint32_t driver_pwm_hz(uint32_t base, uint32_t pin) {
    uint32_t period = register_read(slice(base, pin) + 0x04u) * driver_pwm_steps(base, pin); // sixteenths of a clock
    return (uint32_t)(((uint64_t)BOARD_CLOCK_HZ * DIV_ONE + period / 2u) / period);
}

void driver_pwm_set(uint32_t base, uint32_t pin, uint32_t steps_high, bool invert) {
    uint32_t shift = pin % 2u * 16u;
    uint32_t both = register_read(slice(base, pin) + 0x0Cu);
    register_write(slice(base, pin) + 0x0Cu, (both & ~(0xFFFFu << shift)) | steps_high << shift);
    uint32_t inverter = 4u << pin % 2u;
    if (invert) {
        register_set(slice(base, pin), inverter);
    } else {
        register_clear(slice(base, pin), inverter);
    }
}

void driver_pwm_stop(uint32_t base, uint32_t pin) { register_clear(slice(base, pin), 1u); }
