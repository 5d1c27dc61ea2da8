// SPDX-License-Identifier: Apache-2.0
// MicroPython's hardware layer, which here is the monitor.
#ifndef COFFRET_MPHALPORT_H
#define COFFRET_MPHALPORT_H

#include "py/mpconfig.h"

mp_uint_t mp_hal_ticks_ms(void);
mp_uint_t mp_hal_ticks_us(void);
void mp_hal_delay_ms(mp_uint_t ms);
void mp_hal_delay_us(mp_uint_t us);

#if MICROPY_PY_MACHINE_PIN
// The lines that MicroPython's software I2C and SPI work: machine/pin.c.
#include "py/obj.h"
#define mp_hal_pin_obj_t uint32_t
#define MP_HAL_PIN_FMT "%s"
uint32_t mp_hal_get_pin_obj(mp_obj_t object);
const char *mp_hal_pin_name(uint32_t line);
void mp_hal_pin_input(uint32_t line);
void mp_hal_pin_output(uint32_t line);
void mp_hal_pin_open_drain(uint32_t line);
void mp_hal_pin_write(uint32_t line, int value);
int mp_hal_pin_read(uint32_t line);
#define mp_hal_pin_od_low(line) mp_hal_pin_write(line, 0)
#define mp_hal_pin_od_high(line) mp_hal_pin_write(line, 1)
#define mp_hal_delay_us_fast(us) mp_hal_delay_us(us)
#endif

// Unprivileged code cannot read a cycle counter; microseconds are the finest clock there is.
static inline mp_uint_t mp_hal_ticks_cpu(void) {
    return mp_hal_ticks_us();
}

#endif
