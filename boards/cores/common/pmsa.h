// SPDX-License-Identifier: Apache-2.0
// The region words of PMSAv6 and PMSAv7, which differ in what they can say, not in how it is said (Arm DDI 0419 and 0403,
// section B3.5; boards/mpu.py makes the words).
#ifndef COMMON_PMSA_H
#define COMMON_PMSA_H

#include "scs.h"

#define SCS_MPU_RASR 0xE000EDA0u
#define MPU_RBAR_VALID (1u << 4)

// `rbar` carries VALID and the region number (boards/mpu.py), so RNR is not needed.
static inline void mpu_set_region(uint32_t rbar, uint32_t rasr) {
    scs_write(SCS_MPU_RBAR, rbar);
    scs_write(SCS_MPU_RASR, rasr);
}
// Regions 3 to 6: `window`, then the three of `task`, each a pair of words as above.
static inline void mpu_set_task_regions(const uint32_t *window, const uint32_t *task) {
#if defined(__ARM_ARCH_7M__) || defined(__ARM_ARCH_7EM__)
    // RBAR and RASR, and three more pairs behind them that are their aliases (DDI 0403, section B3.5.10).
    __asm__ volatile("ldmia %[window], {r4, r5}  \n"
                     "ldmia %[task], {r6-r11}    \n"
                     "stmia %[rbar], {r4-r11}    \n"
                     :
                     : [window] "r"(window), [task] "r"(task), [rbar] "r"(SCS_MPU_RBAR)
                     : "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "memory");
#else
    mpu_set_region(window[0], window[1]);
    for (uint32_t i = 0; i < 6u; i += 2u) {
        mpu_set_region(task[i], task[i + 1u]);
    }
#endif
}
static inline void mpu_clear_region(uint32_t number) {
    scs_write(SCS_MPU_RNR, number);
    scs_write(SCS_MPU_RASR, 0u);
}
static inline uint32_t mpu_read_region(uint32_t number, uint32_t *rasr) {
    scs_write(SCS_MPU_RNR, number);
    *rasr = scs_read(SCS_MPU_RASR);
    return scs_read(SCS_MPU_RBAR);
}

#endif
