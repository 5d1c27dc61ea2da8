// SPDX-License-Identifier: Apache-2.0
// The core's own registers (Arm DDI 0419, Armv6-M Architecture Reference Manual; DDI 0484, Cortex-M0+) behind named
// functions. The names are those of ../armv7m/registers.h, so that drivers of a family do not ask which core it is.
// Everything here but the plain reads of cpu state needs privilege. The system control space takes words only.
#ifndef ARMV6M_REGISTERS_H
#define ARMV6M_REGISTERS_H

#include <stdbool.h>
#include <stdint.h>

// ---- the processor ----

static inline void cpu_data_barrier(void) { __asm__ volatile("dsb" ::: "memory"); }
static inline void cpu_instruction_barrier(void) { __asm__ volatile("isb" ::: "memory"); }
static inline void cpu_wait_for_interrupt(void) { __asm__ volatile("dsb\n\twfi" ::: "memory"); }
static inline void cpu_interrupts_disable(void) { __asm__ volatile("cpsid i" ::: "memory"); }
static inline void cpu_interrupts_enable(void) { __asm__ volatile("cpsie i\n\tisb" ::: "memory"); }

// Returns what cpu_interrupts_restore takes.
static inline uint32_t cpu_interrupts_save(void) {
    uint32_t primask;
    __asm__ volatile("mrs %0, primask\n\tcpsid i" : "=r"(primask)::"memory");
    return primask;
}
static inline void cpu_interrupts_restore(uint32_t primask) {
    __asm__ volatile("msr primask, %0\n\tisb" ::"r"(primask) : "memory");
}

// CONTROL, section B1.4.4: bit 0 unprivileged thread mode, bit 1 thread mode uses the process stack.
#define CONTROL_UNPRIVILEGED 1u

// ---- system control space, section B3.2 ----

static inline uint32_t scs_read(uint32_t address) { return *(const volatile uint32_t *)address; }
static inline void scs_write(uint32_t address, uint32_t value) { *(volatile uint32_t *)address = value; }

#define SCS_SYST_CSR 0xE000E010u
#define SCS_SYST_RVR 0xE000E014u
#define SCS_SYST_CVR 0xE000E018u
#define SCS_NVIC_ISER 0xE000E100u
#define SCS_NVIC_ICER 0xE000E180u
#define SCS_NVIC_ICPR 0xE000E280u
#define SCS_NVIC_IPR 0xE000E400u
#define SCS_ICSR 0xE000ED04u
#define SCS_VTOR 0xE000ED08u
#define SCS_AIRCR 0xE000ED0Cu
#define SCS_SHPR2 0xE000ED1Cu
#define SCS_SHPR3 0xE000ED20u
#define SCS_MPU_TYPE 0xE000ED90u
#define SCS_MPU_CTRL 0xE000ED94u
#define SCS_MPU_RNR 0xE000ED98u
#define SCS_MPU_RBAR 0xE000ED9Cu
#define SCS_MPU_RASR 0xE000EDA0u

// One byte of a word that can only be written whole.
static inline void scs_write_byte(uint32_t address, uint8_t value) {
    uint32_t shift = 8u * (address & 3u);
    uint32_t word = scs_read(address & ~3u);
    scs_write(address & ~3u, (word & ~(0xFFu << shift)) | (uint32_t)value << shift);
}

// ---- SysTick, section B3.3 ----

// Interrupt every `cycles` processor cycles (2..2^24), first after one whole period.
static inline void systick_start(uint32_t cycles) {
    scs_write(SCS_SYST_CSR, 0u);
    scs_write(SCS_SYST_RVR, cycles - 1u);
    // Any write clears the counter, so that the first period is not what the last user left.
    scs_write(SCS_SYST_CVR, 0u);
    scs_write(SCS_SYST_CSR, 7u); // processor clock, interrupt, enable
}
static inline void systick_stop(void) { scs_write(SCS_SYST_CSR, 0u); }

// ---- interrupt controller, section B3.4: 32 lines at most ----

static inline void nvic_enable(uint32_t irq) { scs_write(SCS_NVIC_ISER, 1u << irq); }
static inline void nvic_disable(uint32_t irq) {
    scs_write(SCS_NVIC_ICER, 1u << irq);
    // The interrupt may still be taken until the write has reached the controller.
    cpu_data_barrier();
    cpu_instruction_barrier();
}
static inline void nvic_clear_pending(uint32_t irq) { scs_write(SCS_NVIC_ICPR, 1u << irq); }
// 0 is the most urgent; only the upper two bits are there.
static inline void nvic_set_priority(uint32_t irq, uint8_t priority) { scs_write_byte(SCS_NVIC_IPR + irq, priority); }

// ---- system control block, section B3.2 ----

static inline void scb_set_vector_table(uint32_t address) {
    scs_write(SCS_VTOR, address); // a multiple of 256 (DDI 0484, section 4.1)
    cpu_data_barrier();
}

__attribute__((noreturn)) static inline void scb_reset(void) {
    cpu_data_barrier();
    scs_write(SCS_AIRCR, 0x05FA0004u); // VECTKEY, SYSRESETREQ
    cpu_data_barrier();
    for (;;) {
        cpu_instruction_barrier(); // the request takes some cycles
    }
}

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
static inline void scb_pend_tick(void) { scs_write(SCS_ICSR, 1u << 26); } // PENDSTSET
// The most urgent exception that waits, 0: none (ICSR.VECTPENDING).
static inline uint32_t scb_pending_exception(void) { return (scs_read(SCS_ICSR) >> 12) & 0x1FFu; }

// ---- memory protection unit (PMSAv6), section B3.5 ----

static inline uint32_t mpu_regions(void) { return (scs_read(SCS_MPU_TYPE) >> 8) & 0xFFu; }

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
// PRIVDEFENA: privileged code keeps the default memory map where no region says otherwise.
static inline void mpu_enable(void) {
    scs_write(SCS_MPU_CTRL, 5u);
    cpu_data_barrier();
    cpu_instruction_barrier();
}
static inline void mpu_disable(void) {
    cpu_data_barrier();
    scs_write(SCS_MPU_CTRL, 0u);
    cpu_data_barrier();
    cpu_instruction_barrier();
}
// After regions were changed while the unit is on.
static inline void mpu_synchronise(void) {
    cpu_data_barrier();
    cpu_instruction_barrier();
}

#endif
