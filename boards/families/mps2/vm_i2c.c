// SPDX-License-Identifier: Apache-2.0
// The SBCon I2C of the FPGA (Arm DAI 0385 section 3.8): two open-drain lines, SCL bit 0 and SDA bit 1 of CONTROL. Reading
// it gives the lines, writing CONTROLS (0x00) lets lines go, writing CONTROLC (0x04) pulls them low. MicroPython's
// software I2C does the rest. A line's number is the block's address and the line's bit.
#include "extmod/modmachine.h"
#include "machine/driver.h"

#if MICROPY_PY_MACHINE_I2C

#define SCL 0u
#define SDA 1u

static volatile uint32_t *control(uint32_t line) { return (volatile uint32_t *)(line & ~3u); }

void driver_line_release(uint32_t line, bool high) { control(line)[high ? 0 : 1] = 1u << (line & 3u); }
bool driver_line_get(uint32_t line) { return (*control(line) >> (line & 3u) & 1u) != 0u; }

int driver_i2c_start(struct driver_i2c *bus) {
    driver_line_release(bus->base | SCL, true);
    driver_line_release(bus->base | SDA, true);
    return 0;
}

int driver_i2c_transfer(struct driver_i2c *bus, uint16_t address, uint8_t *data, size_t length, bool read, bool stop) {
    uint32_t half_us = 500000u / bus->hz;
    mp_machine_soft_i2c_obj_t lines = {
        .us_delay = half_us == 0u ? 1u : half_us,
        .us_timeout = bus->timeout_us,
        .scl = bus->base | SCL,
        .sda = bus->base | SDA,
    };
    mp_machine_i2c_buf_t buffer = {.len = length, .buf = data};
    unsigned flags = (read ? MP_MACHINE_I2C_FLAG_READ : 0u) | (stop ? MP_MACHINE_I2C_FLAG_STOP : 0u);
    return mp_machine_soft_i2c_transfer(&lines.base, address, 1, &buffer, flags);
}

#endif
