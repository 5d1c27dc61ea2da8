// SPDX-License-Identifier: Apache-2.0
// SPI1 and SPI2 (section 28): their bus divided by a power of two from 2 to 256.
#include "board_config.h"
#include "machine/driver.h"
#include "stm32f4.h"

uint32_t driver_spi_start(const struct driver_spi *bus) {
    for (uint32_t halvings = 0; halvings < 8u; halvings++) {
        uint32_t hz = bus_hz(bus->base, BOARD_CLOCK_HZ) >> (halvings + 1u);
        if (hz <= bus->hz) {
            spi_start(bus->base, halvings, bus->polarity != 0u, bus->phase != 0u);
            return hz;
        }
    }
    return 0;
}

void driver_spi_stop(uint32_t base) { spi_stop(base); }
uint8_t driver_spi_exchange(uint32_t base, uint8_t byte) { return spi_exchange(base, byte); }
