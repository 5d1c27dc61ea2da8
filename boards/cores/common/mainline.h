// SPDX-License-Identifier: Apache-2.0
// What Armv7-M and Armv8-M Mainline add to the registers of every core (Arm DDI 0403, Armv7-M Architecture Reference
// Manual): fault exceptions with priorities and status words, priorities written byte by byte.
#ifndef COMMON_MAINLINE_H
#define COMMON_MAINLINE_H

#include "scs.h"

static inline void cpu_set_process_stack(uint32_t psp) { __asm__ volatile("msr psp, %0" ::"r"(psp) : "memory"); }

#define SCS_CCR 0xE000ED14u
#define SCS_SHPR1 0xE000ED18u
#define SCS_SHCSR 0xE000ED24u
#define SCS_CFSR 0xE000ED28u
#define SCS_MMFAR 0xE000ED34u
#define SCS_BFAR 0xE000ED38u

// 0 is the most urgent; a part implements the upper bits only (three at least, Cortex-M3).
static inline void nvic_set_priority(uint32_t irq, uint8_t priority) {
    *(volatile uint8_t *)(SCS_NVIC_IPR + irq) = priority;
}

// System exceptions by number (4 MemManage .. 15 SysTick).
enum system_exception {
    EXCEPTION_HARD = 3, // its priority is fixed
    EXCEPTION_MEMORY = 4,
    EXCEPTION_BUS = 5,
    EXCEPTION_USAGE = 6,
    EXCEPTION_SVCALL = 11,
    EXCEPTION_PENDSV = 14,
    EXCEPTION_SYSTICK = 15
};
static inline void scb_set_exception_priority(enum system_exception exception, uint8_t priority) {
    *(volatile uint8_t *)(SCS_SHPR1 + (uint32_t)exception - 4u) = priority;
}
// SHCSR.SVCALLPENDED: a call that waits behind a fault is not made.
static inline void scb_clear_call(void) { scs_write(SCS_SHCSR, scs_read(SCS_SHCSR) & ~(1u << 15)); }

// MemManage, BusFault and UsageFault as exceptions of their own instead of HardFault.
static inline void scb_enable_faults(void) { scs_write(SCS_SHCSR, scs_read(SCS_SHCSR) | 7u << 16); }
// CCR: trap division by zero (bit 4), and unaligned access (bit 3) where asked.
static inline void scb_trap(bool unaligned) {
    scs_write(SCS_CCR, scs_read(SCS_CCR) | 1u << 4 | (unaligned ? 1u << 3 : 0u));
}

// CFSR bits, sections B3.2.15 (UFSR, BFSR, MMFSR).
#define FAULT_STATUS_IACCVIOL (1u << 0)
#define FAULT_STATUS_DACCVIOL (1u << 1)
#define FAULT_STATUS_MUNSTKERR (1u << 3)
#define FAULT_STATUS_MSTKERR (1u << 4)
#define FAULT_STATUS_MMARVALID (1u << 7)
#define FAULT_STATUS_IBUSERR (1u << 8)
#define FAULT_STATUS_PRECISERR (1u << 9)
#define FAULT_STATUS_IMPRECISERR (1u << 10)
#define FAULT_STATUS_UNSTKERR (1u << 11)
#define FAULT_STATUS_STKERR (1u << 12)
#define FAULT_STATUS_BFARVALID (1u << 15)
#define FAULT_STATUS_STKOF (1u << 20) // Armv8-M alone: the stack pointer went below its limit (DDI 0553, D1.2.269)
static inline uint32_t fault_status(void) { return scs_read(SCS_CFSR); }
static inline void fault_clear(uint32_t status) { scs_write(SCS_CFSR, status); } // write one to clear
static inline uint32_t fault_memory_address(void) { return scs_read(SCS_MMFAR); }
static inline uint32_t fault_bus_address(void) { return scs_read(SCS_BFAR); }

#endif
