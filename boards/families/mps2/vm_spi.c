// SPDX-License-Identifier: Apache-2.0
// The boards' PL022, which the system clock drives.
#include "board_config.h"
#include "coffret/pl022.h"
#include "machine/driver.h"

uint32_t driver_spi_start(const struct driver_spi *bus) {
    return pl022_start(bus->base, BOARD_CLOCK_HZ, bus->hz, bus->polarity != 0u, bus->phase != 0u);
}

void driver_spi_stop(uint32_t base) { pl022_stop(base); }
uint8_t driver_spi_exchange(uint32_t base, uint8_t byte) { return pl022_exchange(base, byte); }
