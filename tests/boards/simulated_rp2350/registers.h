// SPDX-License-Identifier: Apache-2.0
// No processor: what of the core's registers the part's start needs, at its real address.
#ifndef SIMULATED_REGISTERS_H
#define SIMULATED_REGISTERS_H
#include "access.h"
static inline void scs_write(uint32_t address, uint32_t value) { register_write(address, value); }
static inline void scb_set_vector_table(uint32_t table) { scs_write(0xE000ED08u, table); }
static inline void cpu_interrupts_disable(void) {}
static inline void cpu_data_barrier(void) {}
#define MPU_PRIVILEGED_RW_NEVER_EXECUTED 1u
#define MPU_PRIVILEGED_RO_EXECUTED 4u
#define MPU_NORMAL 1u
#define MPU_DEVICE 3u
static inline void mpu_set_region(uint32_t number, uint32_t rbar, uint32_t rlar) {
    scs_write(0xE000ED98u, number);
    scs_write(0xE000ED9Cu, rbar);
    scs_write(0xE000EDA0u, rlar);
}
#endif
