// SPDX-License-Identifier: Apache-2.0
// The ADC (section 4.9): CS 0x00 (enable 0, temperature sensor 1, start once 2, ready 8, input 14:12), RESULT 0x04.
#include "board_config.h"
#include "machine/driver.h"
#include "rp2040.h"

#define FIRST_PIN 26u
#define PINS 4u
#define TEMPERATURE BOARD_ADC_TEMPERATURE
#define CS_READY (1u << 8)

void driver_adc_start(uint32_t base) { register_write(base, 3u); }

// ADC(26) is the pin, ADC(0) its input: as MicroPython has it on this part.
int driver_adc_channel(uint32_t number, bool is_pin) {
    if (number >= FIRST_PIN && number < FIRST_PIN + PINS) {
        return (int)(number - FIRST_PIN);
    }
    return !is_pin && number <= TEMPERATURE ? (int)number : -1;
}

uint16_t driver_adc_read(uint32_t base, uint32_t channel) {
    register_write(base, channel << 12 | 7u);
    while ((register_read(base) & CS_READY) == 0u) {
    }
    uint32_t raw = register_read(base + 0x04u) & 0xFFFu;
    return (uint16_t)(raw << 4 | raw >> 8); // twelve bits to sixteen: the largest stays the largest
}
