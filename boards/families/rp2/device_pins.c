// SPDX-License-Identifier: Apache-2.0
// The pins of the RP2040, and the resets and clocks of the blocks that enclaves drive themselves: SIO, IO bank, pads,
// resets and clocks each hold all pins or all blocks in one register or row, so no enclave reaches them.
#include "board_config.h"
#include "coffret/pins.h"
#include "rp2040.h"

_Static_assert((PIN_FALLING | PIN_RISING) == 0xCu, "an edge is the bit that the IO bank has for it");

bool board_pin_mode(uint32_t pin, enum pin_mode mode, enum pin_pull pull, enum pin_level level) {
    uint32_t pad = PAD_INPUT_ENABLE | PAD_DRIVE_4_MA | PAD_SCHMITT;
    pad |= (pull & PIN_PULL_UP) != 0u ? PAD_PULL_UP : 0u;
    pad |= (pull & PIN_PULL_DOWN) != 0u ? PAD_PULL_DOWN : 0u;
    if ((pull & PIN_PULL_KEEP) != 0u) {
        pad |= pad_get(pin) & (PAD_PULL_UP | PAD_PULL_DOWN);
    }
    pad_set(pin, pad);
    if (mode == PIN_INPUT) {
        sio_drive(pin, false);
    } else if (mode == PIN_OUTPUT) {
        board_pin_set(pin, level);
        sio_drive(pin, true);
    } else {
        board_pin_set(pin, level == PIN_LOW ? PIN_LOW : PIN_RELEASED);
    }
    pin_function(pin, PIN_SIO);
    return true;
}

bool board_pin_get(uint32_t pin) { return sio_get(pin); }
bool board_pin_output(uint32_t pin) { return !sio_pulls_low(pin); }

void board_pin_set(uint32_t pin, enum pin_level level) {
    if (level == PIN_RELEASED) {
        sio_drive(pin, false);
        return;
    }
    sio_set(pin, level == PIN_HIGH);
    if (level == PIN_LOW) {
        sio_drive(pin, true); // of an open-drain output, which may have been released
    }
}

bool board_pin_trigger(uint32_t pin, uint32_t edges) {
    pin_interrupt_off(pin);
    pin_interrupt_clear(pin);
    pin_interrupt_on(pin, edges & (PIN_FALLING | PIN_RISING));
    return true;
}

bool board_pin_fired(uint32_t pin) {
    if (!pin_interrupt_raised(pin)) {
        return false;
    }
    pin_interrupt_off(pin);
    return true;
}

void board_pin_function(uint32_t pin, uint32_t function) {
    if (function == PIN_NONE) {
        pad_set(pin, 0u); // analogue: neither driven nor read
    } else if (function != PIN_SIO) {
        pad_set(pin, PAD_INPUT_ENABLE | PAD_DRIVE_4_MA | PAD_SCHMITT | (function == PIN_I2C ? PAD_PULL_UP : 0u));
    }
    pin_function(pin, function);
}

static uint32_t block_of(const struct device *device) {
    switch (device->kind) {
        case DEVICE_UART: return RESET_UART1;
        case DEVICE_SPI: return device->id == 0u ? RESET_SPI0 : RESET_SPI1;
        case DEVICE_I2C: return device->id == 0u ? RESET_I2C0 : RESET_I2C1;
        case DEVICE_ADC: return RESET_ADC;
        case DEVICE_PWM: return RESET_PWM;
        default: return 0u; // the SIO has no reset: its pins are let go one by one
    }
}

void board_device_reset(const struct device *device) {
    uint32_t block = block_of(device);
    if (block == 0u) {
        return;
    }
    block_reset(block);
    if (device->kind == DEVICE_ADC) {
        clock_enable(CLOCK_ADC);
    }
    block_release(block);
}
