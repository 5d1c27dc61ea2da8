// SPDX-License-Identifier: Apache-2.0
// The pins of the STM32F405, and the resets and clocks of the blocks that enclaves drive themselves. A pin's number is
// 16 x port + pin. Only PB10 to PB15 interrupt: a line of that number is every port's, lines 10 to 15 share one interrupt.
#include "board_config.h"
#include "coffret/pins.h"
#include "stm32f4.h"

#define INTERRUPTS_FROM 26u // PB10
#define INTERRUPTS_TO 31u
#define FUNCTION_I2C 4u // DS8626, table 9: of every I2C
#define FUNCTION_ANALOG 16u // board.toml's; alternate functions end at 15

static uint32_t port_of(uint32_t pin) { return GPIOA + pin / 16u * GPIO_STEP; }

static void set_pull(uint32_t pin, enum pin_pull pull) {
    if ((pull & PIN_PULL_KEEP) != 0u) {
        return;
    }
    enum gpio_pull down = (pull & PIN_PULL_DOWN) != 0u ? GPIO_PULL_DOWN : GPIO_NO_PULL;
    pin_pull(port_of(pin), pin % 16u, (pull & PIN_PULL_UP) != 0u ? GPIO_PULL_UP : down);
}

bool board_pin_mode(uint32_t pin, enum pin_mode mode, enum pin_pull pull, enum pin_level level) {
    if ((pull & (PIN_PULL_UP | PIN_PULL_DOWN)) == (PIN_PULL_UP | PIN_PULL_DOWN)) {
        return false; // reserved (section 8.4.4)
    }
    set_pull(pin, pull);
    if (mode == PIN_INPUT) {
        pin_mode(port_of(pin), pin % 16u, GPIO_INPUT);
        return true;
    }
    pin_open_drain(port_of(pin), pin % 16u, mode == PIN_OPEN_DRAIN);
    board_pin_set(pin, level);
    pin_mode(port_of(pin), pin % 16u, GPIO_OUTPUT);
    return true;
}

bool board_pin_get(uint32_t pin) { return pin_read(port_of(pin), pin % 16u); }
bool board_pin_output(uint32_t pin) { return pin_output(port_of(pin), pin % 16u); }

// Released is high: the pin is an open drain then.
void board_pin_set(uint32_t pin, enum pin_level level) { pin_write(port_of(pin), pin % 16u, level != PIN_LOW); }

bool board_pin_trigger(uint32_t pin, uint32_t edges) {
    if (pin < INTERRUPTS_FROM || pin > INTERRUPTS_TO) {
        return edges == 0u;
    }
    line_off(pin % 16u);
    if (edges != 0u) {
        line_of_port(pin % 16u, pin / 16u);
        line_on(pin % 16u, (edges & PIN_RISING) != 0u, (edges & PIN_FALLING) != 0u);
    }
    return true;
}

bool board_pin_fired(uint32_t pin) {
    if (pin < INTERRUPTS_FROM || pin > INTERRUPTS_TO || !line_raised(pin % 16u)) {
        return false;
    }
    line_off(pin % 16u);
    line_clear(pin % 16u);
    return true;
}

void board_pin_function(uint32_t pin, uint32_t function) {
    if (function == 0u) {
        pin_mode(port_of(pin), pin % 16u, GPIO_INPUT);
    } else if (function == FUNCTION_ANALOG) {
        pin_pull(port_of(pin), pin % 16u, GPIO_NO_PULL);
        pin_mode(port_of(pin), pin % 16u, GPIO_ANALOG);
    } else {
        pin_open_drain(port_of(pin), pin % 16u, function == FUNCTION_I2C);
        pin_pull(port_of(pin), pin % 16u, function == FUNCTION_I2C ? GPIO_PULL_UP : GPIO_NO_PULL);
        pin_alternate(port_of(pin), pin % 16u, function);
    }
}

// Bit of its bus's reset and clock registers (sections 7.3.8, 7.3.9, 7.3.13, 7.3.14).
static uint32_t block_of(const struct device *device) {
    switch (device->kind) {
        case DEVICE_UART: return device->id == 6u ? 1u << 5 : 1u << 18;
        case DEVICE_SPI: return device->id == 1u ? 1u << 12 : 1u << 14;
        case DEVICE_I2C: return device->id == 1u ? 1u << 21 : 1u << 22;
        case DEVICE_ADC: return 1u << 8;
        case DEVICE_PWM: return 1u << 1;
        case DEVICE_TIMER: return 1u << 3;
        default: return 0u;
    }
}

void board_device_reset(const struct device *device) {
    bool fast = device->base >= 0x40010000u;
    uint32_t block = block_of(device);
    register_set(fast ? RCC_APB2RSTR : RCC_APB1RSTR, block);
    register_clear(fast ? RCC_APB2RSTR : RCC_APB1RSTR, block);
    register_set(fast ? RCC_APB2ENR : RCC_APB1ENR, block);
    if (device->kind == DEVICE_ADC) {
        register_write(ADC_COMMON_CONTROL, ADC_CLOCK_QUARTER | ADC_TEMPERATURE_ON);
    }
}
