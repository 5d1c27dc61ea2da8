// SPDX-License-Identifier: Apache-2.0
// Private to the cores: what the files of one core ask of each other. A file of the same name in a core's own folder stands
// in for the one here (boards/model.py).
#ifndef COMMON_CORE_PARTS_H
#define COMMON_CORE_PARTS_H

#include "board_config.h"
#include "coffret/core.h"
#include "coffret/section.h"
#include "coffret/syscall.h"
#include "registers.h"

#define PRIORITY_FAULT 0u
#define PRIORITY_MONITOR 0x80u
#define XPSR_THUMB (1u << 24)

// core.c: every exception's entry, and the faults' priorities and traps before the first task runs.
void core_exception(void);
void core_faults_start(void);
// core_vectors.c
uint32_t core_vector_table(void);
// core_first_frame.c: a first frame at the top of a stack; its address.
uint32_t core_push_frame(
    uint32_t stack_top, void (*entry)(const struct task *), const struct task *argument, void (*after)(void));
// core_protection.c
void core_protection_start(void);
// Whose memory the protection unit opens: the task that runs, or ran before the idle loop. NULL before the first.
const struct task *core_mapped_task(void);

#endif
