// SPDX-License-Identifier: Apache-2.0
// I2C (section 27; its registers 27.6) as an enclave drives it: the controller's half, without interrupts. While the block
// waits for the driver it holds the clock low, so that being interrupted only makes a message longer (section 27.3.3).
#include "board_config.h"
#include "coffret/syscall.h"
#include "machine/driver.h"
#include "py/mperrno.h"
#include "stm32f4.h"

#define CR1 0x00u
#define CR2 0x04u
#define DR 0x10u
#define SR1 0x14u
#define SR2 0x18u
#define CCR 0x1Cu
#define TRISE 0x20u

#define CR1_ENABLE (1u << 0)
#define CR1_START (1u << 8)
#define CR1_STOP (1u << 9)
#define CR1_ACK (1u << 10)
#define CR1_ACK_IS_NEXT (1u << 11) // POS: it is of the byte behind the one that comes in
#define CR1_RESET (1u << 15)
#define SR1_STARTED (1u << 0)
#define SR1_ADDRESSED (1u << 1)
#define SR1_FINISHED (1u << 2) // BTF: the data register and the one behind it are both full, or both empty
#define SR1_RECEIVED (1u << 6)
#define SR1_BUS_ERROR (1u << 8)
#define SR1_LOST (1u << 9) // arbitration
#define SR1_REFUSED (1u << 10) // AF: not acknowledged
#define SR2_BUSY (1u << 1)
#define CCR_FAST (1u << 15) // low twice as long as high

#define REFUSED 1

int driver_i2c_start(struct driver_i2c *bus) {
    uint32_t clock = bus_hz(bus->base, BOARD_CLOCK_HZ), mhz = clock / 1000000u;
    bool fast = bus->hz > 100000u;
    uint32_t parts = (fast ? 3u : 2u) * bus->hz; // of a period: low, high
    uint32_t count = (clock + parts - 1u) / parts;
    if (bus->hz > 400000u || count > 0xFFFu) {
        return -MP_EINVAL;
    }
    bus->held = false;
    register_write(bus->base + CR1, CR1_RESET);
    register_write(bus->base + CR1, 0u);
    register_write(bus->base + CR2, mhz);
    register_write(bus->base + CCR, (fast ? CCR_FAST : 0u) | count);
    register_write(bus->base + TRISE, (fast ? mhz * 300u / 1000u : mhz) + 1u); // 300 ns, 1 us
    register_write(bus->base + CR1, CR1_ENABLE);
    return 0;
}

// Until one of `what` is there: 0, REFUSED, or an error.
static int await(const struct driver_i2c *bus, uint32_t what) {
    uint64_t until = syscall_time() + bus->timeout_us;
    for (;;) {
        uint32_t status = register_read(bus->base + SR1);
        if ((status & (SR1_BUS_ERROR | SR1_LOST)) != 0u) {
            return -MP_EIO;
        }
        if ((status & SR1_REFUSED) != 0u) {
            return REFUSED;
        }
        if ((status & what) != 0u) {
            return 0;
        }
        if (syscall_time() >= until) {
            return -MP_ETIMEDOUT;
        }
    }
}

static int await_free(const struct driver_i2c *bus) {
    uint64_t until = syscall_time() + bus->timeout_us;
    while ((register_read(bus->base + SR2) & SR2_BUSY) != 0u) {
        if (syscall_time() >= until) {
            return -MP_ETIMEDOUT;
        }
    }
    return 0;
}

static void control(const struct driver_i2c *bus, uint32_t bits) { register_write(bus->base + CR1, CR1_ENABLE | bits); }

// Until the stop that was asked for is over; a byte that came in behind the last one that was wanted is dropped.
static int settle(struct driver_i2c *bus) {
    bus->held = false;
    int result = await_free(bus);
    if ((register_read(bus->base + SR1) & SR1_RECEIVED) != 0u) {
        (void)register_read(bus->base + DR);
    }
    return result;
}

static int stop_bus(struct driver_i2c *bus) {
    control(bus, CR1_STOP);
    return settle(bus);
}

// What went wrong, with the bus free again.
static int give_up(struct driver_i2c *bus, int result) {
    register_clear(bus->base + SR1, SR1_REFUSED);
    if (result == REFUSED) {
        (void)stop_bus(bus);
        return -MP_ENODEV;
    }
    (void)driver_i2c_start(bus); // whoever holds the bus, this block does not
    return result;
}

static int call_target(struct driver_i2c *bus, uint16_t address, bool read, uint32_t how) {
    int result = bus->held ? 0 : await_free(bus);
    if (result == 0) {
        control(bus, CR1_START | how);
        result = await(bus, SR1_STARTED);
    }
    if (result == 0) {
        register_write(bus->base + DR, (uint32_t)address << 1 | (uint32_t)read);
        result = await(bus, SR1_ADDRESSED);
    }
    return result;
}

static void go_on(const struct driver_i2c *bus) { (void)register_read(bus->base + SR2); } // clears ADDRESSED

static int write_bytes(struct driver_i2c *bus, const uint8_t *data, size_t length, bool stop) {
    go_on(bus);
    for (size_t i = 0; i < length; i++) {
        register_write(bus->base + DR, data[i]);
        int result = await(bus, SR1_FINISHED);
        if (result == REFUSED) {
            register_clear(bus->base + SR1, SR1_REFUSED);
            result = stop_bus(bus);
            return result < 0 ? result : (int)i;
        }
        if (result != 0) {
            return give_up(bus, result);
        }
    }
    bus->held = !stop;
    int result = stop ? stop_bus(bus) : 0;
    return result < 0 ? result : (int)length;
}

static int take(const struct driver_i2c *bus, uint8_t *byte, uint32_t when) {
    int result = await(bus, when);
    if (result == 0) {
        *byte = (uint8_t)register_read(bus->base + DR);
    }
    return result;
}

// The last byte must not be acknowledged, which the block decides when it begins to come in. `how` of 27.3.3: with one or
// two bytes before the address's flag is cleared, with more when two wait and the third from the end is taken.
static int read_bytes(struct driver_i2c *bus, uint8_t *data, size_t length, bool stop) {
    int result = 0;
    size_t i = 0;
    uint32_t ending = stop ? CR1_STOP : 0u;
    go_on(bus);
    if (length == 1u) {
        control(bus, ending);
        result = take(bus, &data[0], SR1_RECEIVED);
    } else {
        while (result == 0 && i + 3u < length) {
            result = take(bus, &data[i++], SR1_RECEIVED);
        }
        if (result == 0) {
            result = await(bus, SR1_FINISHED);
        }
        if (result == 0 && length > 2u) {
            control(bus, 0u); // the byte that comes in next is the last
            data[i++] = (uint8_t)register_read(bus->base + DR);
            result = await(bus, SR1_FINISHED);
        }
        if (result == 0) {
            control(bus, ending);
            data[i++] = (uint8_t)register_read(bus->base + DR);
            result = take(bus, &data[i], SR1_RECEIVED);
        }
    }
    if (result != 0) {
        return give_up(bus, result);
    }
    bus->held = !stop;
    return stop ? settle(bus) : 0;
}

int driver_i2c_transfer(struct driver_i2c *bus, uint16_t address, uint8_t *data, size_t length, bool read, bool stop) {
    uint8_t nothing = 0;
    if (read && length == 0u) { // the block reads one byte at least
        data = &nothing;
        length = 1u;
    }
    uint32_t many = length == 2u ? CR1_ACK_IS_NEXT : CR1_ACK;
    uint32_t how = read && length > 1u ? many : 0u;
    int result = call_target(bus, address, read, how);
    if (result != 0) {
        return give_up(bus, result);
    }
    return read ? read_bytes(bus, data, length, stop) : write_bytes(bus, data, length, stop);
}
