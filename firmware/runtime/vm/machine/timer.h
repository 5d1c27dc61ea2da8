// SPDX-License-Identifier: Apache-2.0
// Timers of the running enclave, as its waits see them. Times in microseconds since boot.
#ifndef COFFRET_MACHINE_TIMER_H
#define COFFRET_MACHINE_TIMER_H

#include <stdbool.h>
#include <stdint.h>

#include "py/mpconfig.h"

#if MICROPY_PY_MACHINE_TIMER
bool machine_timers_serve(void);    // calls back whose time has come: whether there were any
uint64_t machine_timers_due(void);  // when the next one's has; UINT64_MAX: there is none
#else
static inline bool machine_timers_serve(void) { return false; }
static inline uint64_t machine_timers_due(void) { return UINT64_MAX; }
#endif

#endif
