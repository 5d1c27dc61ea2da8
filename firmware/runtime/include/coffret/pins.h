// SPDX-License-Identifier: Apache-2.0
// What the monitor asks of a board's family for the pins and devices of enclaves. Privileged; implemented in the
// family's device_NAME.c. A pin's number is board.toml's, and was granted to whoever asks.
#ifndef COFFRET_PINS_H
#define COFFRET_PINS_H

#include <stdbool.h>
#include <stdint.h>

#include "coffret/syscall.h"
#include "coffret/tables.h"

// As a plain input or output. False: the pin cannot do that, and is as before.
bool board_pin_mode(uint32_t pin, enum pin_mode mode, enum pin_pull pull, enum pin_level level);
bool board_pin_get(uint32_t pin);
bool board_pin_output(uint32_t pin); // what it was set to; released is high
void board_pin_set(uint32_t pin, enum pin_level level);
// The next of these edges raises the pins' interrupt, once; 0: none does. What came before counts no more. False: it
// has no interrupt.
bool board_pin_trigger(uint32_t pin, uint32_t edges);
// Whether the pin has raised it; it does not again until it is triggered anew.
bool board_pin_fired(uint32_t pin);
void board_pin_function(uint32_t pin, uint32_t function);

// As after a reset of the part, with its clock: before the enclave that has it starts, and when it has ended.
void board_device_reset(const struct device *device);

#endif
