// SPDX-License-Identifier: Apache-2.0
// MicroPython's hardware layer, which here is the monitor.
#ifndef COFFRET_MPHALPORT_H
#define COFFRET_MPHALPORT_H

#include "py/mpconfig.h"

mp_uint_t mp_hal_ticks_ms(void);
mp_uint_t mp_hal_ticks_us(void);
void mp_hal_delay_ms(mp_uint_t ms);
void mp_hal_delay_us(mp_uint_t us);

// Unprivileged code cannot read a cycle counter; microseconds are the finest clock there is.
static inline mp_uint_t mp_hal_ticks_cpu(void) {
    return mp_hal_ticks_us();
}

#endif
