// SPDX-License-Identifier: Apache-2.0
// The region words of PMSAv6 and PMSAv7, which differ in what they can say, not in how it is said (Arm DDI 0419 and 0403,
// section B3.5; boards/mpu.py makes the words).
#ifndef COMMON_PMSA_H
#define COMMON_PMSA_H

#include "scs.h"

#define SCS_MPU_RASR 0xE000EDA0u

// `rbar` carries VALID and the region number (boards/mpu.py), so RNR is not needed.
static inline void mpu_set_region(uint32_t rbar, uint32_t rasr) {
    scs_write(SCS_MPU_RBAR, rbar);
    scs_write(SCS_MPU_RASR, rasr);
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
