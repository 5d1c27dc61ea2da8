// SPDX-License-Identifier: Apache-2.0
// The pins of the MPS2 boards: port 0 of the CMSDK's GPIO, and LEDs and buttons, which can only be what they are.
#include "board_config.h"
#include "cmsdk.h"
#include "coffret/pins.h"
#include "coffret/pl022.h"
#include "fpgaio.h"

#ifdef BOARD_SECURE_WORLD
#define GPIO0_BASE 0x40100000u
#else
#define GPIO0_BASE 0x40010000u
#endif

#define LED0 64u // numbers of board.toml, section pins
#define BUTTON0 66u

static bool is_led(uint32_t pin) { return pin >= LED0 && pin < BUTTON0; }
static bool is_button(uint32_t pin) { return pin >= BUTTON0; }

bool board_pin_mode(uint32_t pin, enum pin_mode mode, enum pin_pull pull, enum pin_level level) {
    if ((pull & (PIN_PULL_UP | PIN_PULL_DOWN)) != 0u) {
        return false; // the FPGA has none
    }
    if (is_button(pin)) {
        return mode == PIN_INPUT;
    }
    if (is_led(pin)) {
        led_set(pin - LED0, mode != PIN_INPUT && level == PIN_HIGH);
        return true;
    }
    gpio_alternate(GPIO0_BASE, pin, false);
    if (mode == PIN_INPUT) {
        gpio_output(GPIO0_BASE, pin, false);
    } else if (mode == PIN_OUTPUT) {
        gpio_write(GPIO0_BASE, pin, level == PIN_HIGH);
        gpio_output(GPIO0_BASE, pin, true);
    } else {
        board_pin_set(pin, level == PIN_LOW ? PIN_LOW : PIN_RELEASED);
    }
    return true;
}

bool board_pin_get(uint32_t pin) {
    if (is_button(pin)) {
        return button_get(pin - BUTTON0);
    }
    return is_led(pin) ? led_get(pin - LED0) : gpio_read(GPIO0_BASE, pin);
}

bool board_pin_output(uint32_t pin) {
    return pin >= LED0 ? board_pin_get(pin) : gpio_output_level(GPIO0_BASE, pin);
}

void board_pin_set(uint32_t pin, enum pin_level level) {
    if (is_led(pin)) {
        led_set(pin - LED0, level == PIN_HIGH);
    } else if (!is_button(pin)) {
        gpio_write(GPIO0_BASE, pin, level == PIN_HIGH);
        if (level != PIN_HIGH) {
            gpio_output(GPIO0_BASE, pin, level == PIN_LOW);
        }
    }
}

// The part knows one edge a pin at a time; of both, the next one is the one away from where the pin is.
bool board_pin_trigger(uint32_t pin, uint32_t edges) {
    if (pin >= LED0) {
        return edges == 0u;
    }
    gpio_interrupt_off(GPIO0_BASE, pin);
    if (edges == (PIN_RISING | PIN_FALLING)) {
        gpio_interrupt_on_edge(GPIO0_BASE, pin, !gpio_read(GPIO0_BASE, pin));
    } else if (edges != 0u) {
        gpio_interrupt_on_edge(GPIO0_BASE, pin, edges == PIN_RISING);
    }
    return true;
}

bool board_pin_fired(uint32_t pin) {
    if (pin >= LED0 || !gpio_interrupt_raised(GPIO0_BASE, pin)) {
        return false;
    }
    gpio_interrupt_off(GPIO0_BASE, pin);
    gpio_interrupt_clear(GPIO0_BASE, pin);
    return true;
}

void board_pin_function(uint32_t pin, uint32_t function) {
    if (pin < LED0) {
        gpio_alternate(GPIO0_BASE, pin, function != 0u);
    }
}

// Off, and their interrupt with them; the lines of I2C let go.
void board_device_reset(const struct device *device) {
    if (device->kind == DEVICE_UART) {
        uart_control(device->base, 0u);
        uart_clear_rx_interrupt(device->base);
        uart_clear_tx_interrupt(device->base);
    } else if (device->kind == DEVICE_TIMER) {
        timer_stop(device->base);
    } else if (device->kind == DEVICE_SPI) {
        pl022_stop(device->base);
    } else if (device->kind == DEVICE_I2C) {
        sbcon_release(device->base);
    }
}
