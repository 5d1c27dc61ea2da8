// SPDX-License-Identifier: Apache-2.0
// What `machine` asks of a board's family for the devices that an enclave drives itself. Unprivileged code: it reaches the
// registers at `base`, which the enclave was granted, and nothing else. Implemented in the family's vm_NAME.c; a function
// for a kind of device that no board of the family can grant need not exist. Errors are negative numbers of py/mperrno.h.
#ifndef COFFRET_MACHINE_DRIVER_H
#define COFFRET_MACHINE_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Weak: what is not there is never called, because no enclave can be granted what it would drive.
#define DRIVER __attribute__((weak))

// ---- UART ----

enum driver_parity { DRIVER_PARITY_NONE, DRIVER_PARITY_EVEN, DRIVER_PARITY_ODD };

struct driver_uart {
    uint32_t base;
    uint32_t baud;
    uint8_t bits;   // of a character
    uint8_t parity; // enum driver_parity
    uint8_t stop;   // bits
};

// Both directions on, with an interrupt when something was received. False: the part cannot do that.
DRIVER bool driver_uart_start(const struct driver_uart *uart);
DRIVER void driver_uart_stop(uint32_t base);
DRIVER int driver_uart_get(uint32_t base);             // a byte, or -1
DRIVER bool driver_uart_put(uint32_t base, uint8_t byte); // false: full
DRIVER bool driver_uart_sent(uint32_t base);           // all of it
DRIVER void driver_uart_clear(uint32_t base);          // the interrupt, before what was received is taken

// ---- I2C ----

struct driver_i2c {
    uint32_t base;
    uint32_t hz;
    uint32_t timeout_us; // of a stretched clock
    bool held;           // the driver's: the last message ended without a stop
};

// Returns 0 or an error.
DRIVER int driver_i2c_start(struct driver_i2c *bus);
// One message: bytes read, or bytes written that were acknowledged, or an error.
DRIVER int driver_i2c_transfer(struct driver_i2c *bus, uint16_t address, uint8_t *data, size_t length, bool read, bool stop);

// A block that has only two open-drain lines, which MicroPython's software I2C works: a number from DRIVER_LINES on names one.
// (Below it are pins, which the monitor works.)
#define DRIVER_LINES 256u
DRIVER void driver_line_release(uint32_t line, bool high);
DRIVER bool driver_line_get(uint32_t line);

// ---- SPI, as the controller ----

struct driver_spi {
    uint32_t base;
    uint32_t hz; // at most
    uint8_t polarity;
    uint8_t phase;
};

// Returns the bits a second that it really makes; 0: it cannot be so slow.
DRIVER uint32_t driver_spi_start(const struct driver_spi *bus);
DRIVER void driver_spi_stop(uint32_t base);
DRIVER uint8_t driver_spi_exchange(uint32_t base, uint8_t byte);

// ---- ADC ----

DRIVER void driver_adc_start(uint32_t base);
DRIVER int driver_adc_channel(uint32_t number, bool is_pin);    // -1: there is none
DRIVER uint16_t driver_adc_read(uint32_t base, uint32_t channel); // full scale is 65535

// ---- PWM ----

// Sets the frequency of a pin's counter, and so of every pin that shares it. Returns the steps of one period, 0 if the
// frequency cannot be had.
DRIVER uint32_t driver_pwm_start(uint32_t base, uint32_t pin, uint32_t hz);
DRIVER uint32_t driver_pwm_steps(uint32_t base, uint32_t pin);
DRIVER uint32_t driver_pwm_hz(uint32_t base, uint32_t pin);
DRIVER void driver_pwm_set(uint32_t base, uint32_t pin, uint32_t steps_high, bool invert);
DRIVER void driver_pwm_stop(uint32_t base, uint32_t pin);

// ---- timer ----

DRIVER bool driver_timer_start(uint32_t base, uint32_t us); // periodic, with its interrupt; false: out of range
DRIVER void driver_timer_stop(uint32_t base);
DRIVER bool driver_timer_clear(uint32_t base);              // the interrupt; false: it had not come (a late one of before)

#endif
