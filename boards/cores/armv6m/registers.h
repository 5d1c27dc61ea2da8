// SPDX-License-Identifier: Apache-2.0
// What is Armv6-M's own among the registers (Arm DDI 0419, Armv6-M Architecture Reference Manual; DDI 0484, Cortex-M0+).
// The system control space takes words only, there are 32 interrupts at most, and the vector table is a multiple of 256
// (DDI 0484, section 4.1).
#ifndef ARMV6M_REGISTERS_H
#define ARMV6M_REGISTERS_H

#include "../common/pmsa.h"

#define SCS_SHPR2 0xE000ED1Cu

// One byte of a word that can only be written whole.
static inline void scs_write_byte(uint32_t address, uint8_t value) {
    uint32_t shift = 8u * (address & 3u);
    uint32_t word = scs_read(address & ~3u);
    scs_write(address & ~3u, (word & ~(0xFFu << shift)) | (uint32_t)value << shift);
}

// 0 is the most urgent; only the upper two bits are there.
static inline void nvic_set_priority(uint32_t irq, uint8_t priority) { scs_write_byte(SCS_NVIC_IPR + irq, priority); }

// System exceptions by number.
enum system_exception {
    EXCEPTION_HARD = 3, // every fault; its priority is fixed, above all that can be set
    EXCEPTION_SVCALL = 11,
    EXCEPTION_PENDSV = 14,
    EXCEPTION_SYSTICK = 15
};
// For SVCall, PendSV and SysTick: SHPR2 begins with exception 8.
static inline void scb_set_exception_priority(enum system_exception exception, uint8_t priority) {
    scs_write_byte(SCS_SHPR2 + (uint32_t)exception - 8u, priority);
}
// The most urgent exception that waits, 0: none (ICSR.VECTPENDING).
static inline uint32_t scb_pending_exception(void) { return (scs_read(SCS_ICSR) >> 12) & 0x1FFu; }

#endif
