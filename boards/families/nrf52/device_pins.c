// SPDX-License-Identifier: Apache-2.0
// The pins of the nRF52833. A pin interrupts by its sense: it waits for the level that it does not have, which is its next
// edge. Where that is not the one its owner waits for, it waits for the other one: one interrupt more, not one an edge.
#include "board_config.h"
#include "coffret/pins.h"
#include "coffret/section.h"
#include "nrf52.h"

MONITOR_BSS static struct {
    uint32_t rising, falling; // a bit for each pin of the port
} wanted[2];

bool board_pin_mode(uint32_t pin, enum pin_mode mode, enum pin_pull pull, enum pin_level level) {
    uint32_t config = (pull & PIN_PULL_KEEP) != 0u ? pin_config(pin) & PIN_PULLS : 0u;
    config |= (pull & PIN_PULL_UP) != 0u ? PIN_UP : 0u;
    if ((pull & PIN_PULL_DOWN) != 0u) {
        if ((pull & PIN_PULL_UP) != 0u) {
            return false;
        }
        config |= PIN_DOWN;
    }
    if (mode != PIN_INPUT) {
        config |= PIN_OUTPUT_BIT | (mode == PIN_OPEN_DRAIN ? PIN_LOW_ONLY : 0u);
        board_pin_set(pin, level);
    }
    pin_configure(pin, config);
    return true;
}

bool board_pin_get(uint32_t pin) { return pin_read(pin); }
bool board_pin_output(uint32_t pin) { return pin_output(pin); }

// Released is high: the pin drives low only, then.
void board_pin_set(uint32_t pin, enum pin_level level) { pin_write(pin, level != PIN_LOW); }

static void sense(uint32_t pin, uint32_t level) {
    pin_configure(pin, (pin_config(pin) & ~PIN_SENSES) | level);
}

bool board_pin_trigger(uint32_t pin, uint32_t edges) {
    sense(pin, 0u);
    pin_unlatch(pin);
    wanted[pin / 32u].rising &= ~gpio_bit(pin);
    wanted[pin / 32u].falling &= ~gpio_bit(pin);
    if (edges != 0u) {
        wanted[pin / 32u].rising |= (edges & PIN_RISING) != 0u ? gpio_bit(pin) : 0u;
        wanted[pin / 32u].falling |= (edges & PIN_FALLING) != 0u ? gpio_bit(pin) : 0u;
        pins_interrupt_start();
        sense(pin, pin_read(pin) ? PIN_SENSE_LOW : PIN_SENSE_HIGH);
    }
    return true;
}

bool board_pin_fired(uint32_t pin) {
    pins_interrupt_clear();
    if (!pin_latched(pin)) {
        return false;
    }
    bool rose = (pin_config(pin) & PIN_SENSES) == PIN_SENSE_HIGH;
    bool fires = ((rose ? wanted[pin / 32u].rising : wanted[pin / 32u].falling) & gpio_bit(pin)) != 0u;
    sense(pin, 0u);
    pin_unlatch(pin);
    if (!fires) {
        sense(pin, rose ? PIN_SENSE_LOW : PIN_SENSE_HIGH);
    }
    return fires;
}

void board_pin_function(uint32_t pin, uint32_t function) { // no block can be granted that would show on a pin
    (void)function;
    pin_configure(pin, 0u);
}

void board_device_reset(const struct device *device) {
    if (device->kind == DEVICE_TIMER) {
        timer_stop(device->base);
    }
}
