// SPDX-License-Identifier: Apache-2.0
// The protection unit of Armv6-M and Armv7-M: regions overlap and the highest number wins (docs/internals.md, Tasks).
#include "core_parts.h"

#include <stddef.h>

_Static_assert(sizeof(struct mpu_region) == 8u && offsetof(struct task, grants) == offsetof(struct task, memory) + 8u && TASK_GRANTS == 2,
               "a task's regions are three pairs of words, one behind the other");

MONITOR_BSS static const struct task *mapped;

const struct task *core_mapped_task(void) { return mapped; }

void core_map_task(const struct task *task, const struct mpu_region *window) {
    static const struct mpu_region no_window = {.rbar = MPU_RBAR_VALID | 3u};
    mapped = task;
    mpu_set_task_regions(&(window != 0 ? window : &no_window)->rbar, &task->memory.rbar);
    mpu_synchronise();
}

void core_protection_start(void) {
    mpu_disable();
    for (uint32_t region = 0; region < mpu_regions(); region++) {
        mpu_clear_region(region);
    }
    mpu_set_region(BOARD_MPU_FLASH_RBAR, BOARD_MPU_FLASH_RASR);
    mpu_set_region(BOARD_MPU_RAM_RBAR, BOARD_MPU_RAM_RASR);
    if (coffret_counts.slot == 0) {
        mpu_set_region(BOARD_MPU_SLOT_A_RBAR, BOARD_MPU_SLOT_A_RASR);
    } else {
        mpu_set_region(BOARD_MPU_SLOT_B_RBAR, BOARD_MPU_SLOT_B_RASR);
    }
    mpu_set_region(BOARD_MPU_SECRETS_RBAR, BOARD_MPU_SECRETS_RASR);
    mpu_enable();
}
