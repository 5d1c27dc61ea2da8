// SPDX-License-Identifier: Apache-2.0
// ADC1 (section 13; registers 13.13: SR 0x00, CR1 0x04, CR2 0x08, SMPR1 0x0C, SMPR2 0x10, SQR1 0x2C, SQR3 0x34, DR 0x4C), one
// conversion at a time. Its clock and the temperature sensor are the monitor's (device_pins.c).
#include "board_config.h"
#include "coffret/syscall.h"
#include "machine/driver.h"
#include "stm32f4.h"

#define CR2_ON 1u
#define CR2_START (1u << 30)
#define SR_DONE (1u << 1)
#define SLOWEST_0_TO_9 0x3FFFFFFFu // 480 cycles of 21 MHz: 23 us, of which the temperature sensor needs 10 (DS8626, table 70)
#define SLOWEST_10_TO_18 0x07FFFFFFu
#define STABLE_US 3u // DS8626, table 67
#define LAST_INPUT BOARD_ADC_TEMPERATURE

void driver_adc_start(uint32_t base) {
    register_write(base + 0x04u, 0u); // twelve bits
    register_write(base + 0x0Cu, SLOWEST_10_TO_18);
    register_write(base + 0x10u, SLOWEST_0_TO_9);
    register_write(base + 0x2Cu, 0u); // one conversion
    register_write(base + 0x08u, CR2_ON);
    uint64_t until = syscall_time() + STABLE_US + 1u; // the first of them is not a whole one
    while (syscall_time() < until) {
    }
}

// PA0 to PA7, PB0 and PB1, PC0 to PC5 (DS8626, table 7). A plain number is an input's.
int driver_adc_channel(uint32_t number, bool is_pin) {
    if (!is_pin) {
        return number <= LAST_INPUT ? (int)number : -1;
    }
    uint32_t port = number / 16u, pin = number % 16u;
    static const uint8_t inputs[] = {8u, 2u, 6u}, first[] = {0u, 8u, 10u};
    return port < 3u && pin < inputs[port] ? (int)(first[port] + pin) : -1;
}

uint16_t driver_adc_read(uint32_t base, uint32_t channel) {
    register_write(base + 0x34u, channel);
    register_write(base, 0u);
    register_write(base + 0x08u, CR2_ON | CR2_START);
    while ((register_read(base) & SR_DONE) == 0u) {
    }
    uint32_t raw = register_read(base + 0x4Cu) & 0xFFFu;
    return (uint16_t)(raw << 4 | raw >> 8); // twelve bits to sixteen: the largest stays the largest
}
