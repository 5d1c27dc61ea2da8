// SPDX-License-Identifier: Apache-2.0
// The protection unit of Armv8-M.
#include "core_parts.h"

// An address in two regions faults (section B8.3), so privileged memory is what lies between the open regions:
//
//   RAM   | privileged | window, of the enclave that runs | privileged | the task's memory | privileged |
//
// The background map would give privileged code the same, but would let it execute RAM.
enum region {
    REGION_SLOT,        // running image: read only, executable
    REGION_LOW,         // RAM up to the window or, for a service, up to its memory
    REGION_MIDDLE,      // between window and memory
    REGION_WINDOW,
    REGION_MEMORY,
    REGION_GRANTS,      // two
    REGION_HIGH = REGION_GRANTS + TASK_GRANTS,
    REGION_BEYOND       // on units with more than eight
};

static void set_privileged(uint32_t region, uint32_t base, uint32_t end) {
    if (base < end) {
        mpu_set_region(region, base | MPU_PRIVILEGED_RW_NEVER_EXECUTED, (end - 32u) | MPU_NORMAL);
    } else {
        mpu_clear_region(region);
    }
}

static struct mpu_region other_slot(void) {
    if (coffret_counts.slot == 0) {
        return (struct mpu_region){BOARD_MPU_SLOT_B_CLOSED_RBAR, BOARD_MPU_SLOT_B_CLOSED_RLAR};
    }
    return (struct mpu_region){BOARD_MPU_SLOT_A_CLOSED_RBAR, BOARD_MPU_SLOT_A_CLOSED_RLAR};
}

// The other slot holds what came from outside: nobody may execute it, not by mistake either. The manager's grant says so
// itself; for the others it takes whichever region is free. With eight, an enclave with two devices leaves none: then
// privileged code alone could.
static void close_other_slot(const struct task *task, bool window) {
    struct mpu_region slot = other_slot();
    uint32_t region = window ? REGION_BEYOND : REGION_WINDOW;
    if (REGION_BEYOND < mpu_regions()) {
        mpu_clear_region(REGION_BEYOND);
    }
    for (uint32_t i = 0; i < TASK_GRANTS; i++) {
        if (task->grants[i].attributes == 0) {
            region = REGION_GRANTS + i;
        } else if (mpu_region_base(task->grants[i].rbar) == mpu_region_base(slot.rbar)) {
            return;
        }
    }
    if (region < mpu_regions()) {
        mpu_set_region(region, slot.rbar, slot.attributes);
    }
}

void core_map_task(const struct task *task, const struct mpu_region *window) {
    uint32_t base = mpu_region_base(task->memory.rbar), end = mpu_region_end(task->memory.attributes);
    mpu_disable(); // the regions overlap while they change
    if (window != 0) {
        set_privileged(REGION_LOW, BOARD_RAM_BASE, mpu_region_base(window->rbar));
        mpu_set_region(REGION_WINDOW, window->rbar, window->attributes);
        set_privileged(REGION_MIDDLE, mpu_region_end(window->attributes), base);
    } else {
        set_privileged(REGION_LOW, BOARD_RAM_BASE, base);
        mpu_clear_region(REGION_WINDOW);
        mpu_clear_region(REGION_MIDDLE);
    }
    mpu_set_region(REGION_MEMORY, task->memory.rbar, task->memory.attributes);
    for (uint32_t i = 0; i < TASK_GRANTS; i++) {
        mpu_set_region(REGION_GRANTS + i, task->grants[i].rbar, task->grants[i].attributes);
    }
    set_privileged(REGION_HIGH, end, BOARD_RAM_BASE + BOARD_RAM_SIZE);
    close_other_slot(task, window != 0);
    mpu_enable();
}

void core_protection_start(void) {
    mpu_disable();
    for (uint32_t region = 0; region < mpu_regions(); region++) {
        mpu_clear_region(region);
    }
    mpu_set_memory_kinds();
    if (coffret_counts.slot == 0) {
        mpu_set_region(REGION_SLOT, BOARD_MPU_SLOT_A_RBAR, BOARD_MPU_SLOT_A_RLAR);
    } else {
        mpu_set_region(REGION_SLOT, BOARD_MPU_SLOT_B_RBAR, BOARD_MPU_SLOT_B_RLAR);
    }
    set_privileged(REGION_LOW, BOARD_RAM_BASE, BOARD_RAM_BASE + BOARD_RAM_SIZE); // until the first task runs
    mpu_enable();
}
