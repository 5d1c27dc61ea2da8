// SPDX-License-Identifier: Apache-2.0
// The core's own registers (Arm DDI 0553, Armv8-M Architecture Reference Manual) behind named functions: what Armv7-M
// does not have. Each world sees its own copy of the banked ones at the usual addresses.
#ifndef ARMV8M_REGISTERS_H
#define ARMV8M_REGISTERS_H

#include "../common/mainline.h"

// ---- memory protection unit, PMSAv8 (section B8.3) ----

#define SCS_MPU_RLAR 0xE000EDA0u
#define SCS_MPU_MAIR0 0xE000EDC0u

// The two kinds of memory that boards/pmsav8.py names by index: 0 normal, write-through; 1 device, nGnRE.
static inline void mpu_set_memory_kinds(void) { scs_write(SCS_MPU_MAIR0, 0x000004AAu); }

static inline void mpu_set_region(uint32_t number, uint32_t rbar, uint32_t rlar) {
    scs_write(SCS_MPU_RNR, number);
    scs_write(SCS_MPU_RBAR, rbar);
    scs_write(SCS_MPU_RLAR, rlar);
}
static inline void mpu_clear_region(uint32_t number) { mpu_set_region(number, 0u, 0u); }

// Rights in RBAR, the kind of memory and the enable bit in RLAR.
#define MPU_PRIVILEGED_RW_NEVER_EXECUTED 1u
#define MPU_PRIVILEGED_RO_NEVER_EXECUTED 5u
#define MPU_PRIVILEGED_RO_EXECUTED 4u
#define MPU_NORMAL 1u
#define MPU_DEVICE 3u
static inline uint32_t mpu_region_base(uint32_t rbar) { return rbar & ~31u; }
static inline uint32_t mpu_region_end(uint32_t rlar) { return (rlar | 31u) + 1u; }

// PRIVDEFENA off: even privileged code reaches the regions and the system control space only.
static inline void mpu_enable_strictly(void) {
    scs_write(SCS_MPU_CTRL, 1u);
    cpu_data_barrier();
    cpu_instruction_barrier();
}

// ---- stack limits (section B3.21) ----

static inline void cpu_set_main_stack_limit(uint32_t limit) { __asm__ volatile("msr msplim, %0" ::"r"(limit) : "memory"); }

#endif
