// SPDX-License-Identifier: Apache-2.0
// Where the two tasks are, and the rows of their devices. mps2-an385.
#ifndef MACHINE_PROGRAM_H
#define MACHINE_PROGRAM_H

#include "board_config.h"
#include "coffret/tables.h"

#define RAM(offset) (BOARD_RAM_BASE + (offset))
#define TASK_MEMORY(number) RAM(0x10000u + (number) * 0x1000u)
#define TIMER1 0x40001000u
#define GPIO0 0x40010000u

enum { PROBER, OWNER, TASKS };
enum { OWN_PIN, OWN_TIMER, OWN_WATCHDOG, OWN_IDENTITY, OWN_SETTINGS, OTHERS_PIN, OTHERS_LED, OTHERS_IDENTITY, OTHERS_SETTINGS, ROWS };
#define TIMER_EVENT 0

_Noreturn void prober(const struct task *self);
_Noreturn void owner(const struct task *self);

#endif
