// SPDX-License-Identifier: Apache-2.0
// I2C0 and I2C1 (DW_apb_i2c, section 4.3; registers 4.3.16) as an enclave drives them, without interrupts.
#include "board_config.h"
#include "coffret/syscall.h"
#include "machine/driver.h"
#include "py/mperrno.h"
#include "rp2040.h"

#define CON 0x00u
#define TAR 0x04u
#define DATA_CMD 0x10u
#define FS_SCL_HCNT 0x1Cu
#define FS_SCL_LCNT 0x20u
#define RAW_INTR_STAT 0x34u
#define CLR_TX_ABRT 0x54u
#define CLR_STOP_DET 0x60u
#define ENABLE 0x6Cu
#define RXFLR 0x78u
#define SDA_HOLD 0x7Cu
#define TX_ABRT_SOURCE 0x80u
#define FS_SPKLEN 0xA0u

// Controller in fast mode, which serves the slower ones too; restarts; TX_EMPTY says that the byte has been sent.
#define CON_CONTROLLER (1u << 8 | 1u << 6 | 1u << 5 | 2u << 1 | 1u)
#define CMD_READ (1u << 8)
#define CMD_STOP (1u << 9)
#define CMD_RESTART (1u << 10)
#define RAISED_TX_EMPTY (1u << 4)
#define RAISED_TX_ABRT (1u << 6)
#define RAISED_STOP_DET (1u << 9)
#define ABORT_ADDRESS (1u << 0) // 7 bits, not acknowledged
#define ABORT_DATA (1u << 3)

int driver_i2c_start(struct driver_i2c *bus) {
    // As the data sheet's section 4.3.14 and the SDK share a period out: three fifths low, two fifths high.
    uint32_t period = (BOARD_CLOCK_HZ + bus->hz / 2u) / bus->hz;
    uint32_t low = period * 3u / 5u, high = period - low;
    if (low > 0xFFFFu || high < 8u) {
        return -MP_EINVAL;
    }
    bus->held = false;
    register_write(bus->base + ENABLE, 0u);
    register_write(bus->base + CON, CON_CONTROLLER);
    register_write(bus->base + FS_SCL_HCNT, high);
    register_write(bus->base + FS_SCL_LCNT, low);
    register_write(bus->base + FS_SPKLEN, low < 16u ? 1u : low / 16u);
    // Data changes 300 ns after the clock fell (fast mode), 120 ns when it is faster.
    uint32_t hold = bus->hz < 1000000u ? BOARD_CLOCK_HZ / 10000000u * 3u + 1u : BOARD_CLOCK_HZ / 25000000u * 3u + 1u;
    register_write(bus->base + SDA_HOLD, hold < low ? hold : low - 1u);
    register_write(bus->base + ENABLE, 1u);
    return 0;
}

static bool raised(const struct driver_i2c *bus, uint32_t what) {
    return (register_read(bus->base + RAW_INTR_STAT) & what) != 0u;
}

static int aborted(const struct driver_i2c *bus) {
    uint32_t why = register_read(bus->base + TX_ABRT_SOURCE);
    (void)register_read(bus->base + CLR_TX_ABRT);
    return (why & ABORT_ADDRESS) != 0u ? -MP_ENODEV : (why & ABORT_DATA) != 0u ? 0 : -MP_EIO;
}

// 0; 1: the byte was not acknowledged; or an error.
static int exchange(struct driver_i2c *bus, uint32_t command, uint8_t *data, uint64_t until) {
    bool read = (command & CMD_READ) != 0u;
    register_write(bus->base + DATA_CMD, read ? command : command | *data);
    for (;;) {
        if (raised(bus, RAISED_TX_ABRT)) {
            int error = aborted(bus);
            return error == 0 ? 1 : error;
        }
        if (read ? register_read(bus->base + RXFLR) != 0u : raised(bus, RAISED_TX_EMPTY)) {
            break;
        }
        if (syscall_time() >= until) {
            return -MP_ETIMEDOUT;
        }
    }
    if (read) {
        *data = (uint8_t)register_read(bus->base + DATA_CMD);
    }
    return 0;
}

static void wait_for_stop(struct driver_i2c *bus, uint64_t until) {
    while (!raised(bus, RAISED_STOP_DET) && syscall_time() < until) {
    }
    (void)register_read(bus->base + CLR_STOP_DET);
}

int driver_i2c_transfer(struct driver_i2c *bus, uint16_t address, uint8_t *data, size_t length, bool read, bool stop) {
    uint8_t nothing = 0;
    bool probe = length == 0u; // the block sends no address without a byte: one is read, and dropped
    if (probe) {
        data = &nothing;
        length = 1u;
        read = stop = true;
    }
    register_write(bus->base + ENABLE, 0u);
    register_write(bus->base + TAR, address);
    register_write(bus->base + ENABLE, 1u);
    int result = 0;
    for (size_t i = 0; i < length; i++) {
        bool last = i + 1u == length;
        uint32_t command = (read ? CMD_READ : 0u) | (last && stop ? CMD_STOP : 0u) |
                           (i == 0u && bus->held ? CMD_RESTART : 0u);
        uint64_t until = syscall_time() + bus->timeout_us;
        result = exchange(bus, command, &data[i], until);
        if (result != 0) {
            wait_for_stop(bus, until); // an abort sends one by itself
            bus->held = false;
            return result < 0 ? result : (int)i;
        }
        if (last && stop) {
            wait_for_stop(bus, until);
        }
    }
    bus->held = !stop;
    return read ? 0 : (int)length;
}
