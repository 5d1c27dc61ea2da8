// SPDX-License-Identifier: Apache-2.0
// The core's own registers (Arm DDI 0403, Armv7-M Architecture Reference Manual) behind named functions. Armv8-M has
// all of them but the words of its protection unit; ../armv8m/registers.h adds those.
// Everything here but the plain reads of cpu state needs privilege.
#ifndef ARMV7M_REGISTERS_H
#define ARMV7M_REGISTERS_H

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

// Number of the active exception, 0 in thread mode. External interrupt n is exception 16 + n.
static inline uint32_t cpu_exception(void) {
    uint32_t ipsr;
    __asm__ volatile("mrs %0, ipsr" : "=r"(ipsr));
    return ipsr & 0x1FFu;
}
static inline uint32_t cpu_process_stack(void) {
    uint32_t psp;
    __asm__ volatile("mrs %0, psp" : "=r"(psp));
    return psp;
}
static inline void cpu_set_process_stack(uint32_t psp) { __asm__ volatile("msr psp, %0" ::"r"(psp) : "memory"); }

// CONTROL, section B1.4.4: bit 0 unprivileged thread mode, bit 1 thread mode uses the process stack.
#define CONTROL_UNPRIVILEGED 1u
#define CONTROL_PROCESS_STACK 2u
static inline void cpu_set_control(uint32_t control) {
    __asm__ volatile("msr control, %0\n\tisb" ::"r"(control) : "memory");
}

// ---- system control space, section B3.2 ----

static inline uint32_t scs_read(uint32_t address) { return *(const volatile uint32_t *)address; }
static inline void scs_write(uint32_t address, uint32_t value) { *(volatile uint32_t *)address = value; }

#define SCS_SYST_CSR 0xE000E010u
#define SCS_SYST_RVR 0xE000E014u
#define SCS_SYST_CVR 0xE000E018u
#define SCS_NVIC_ISER 0xE000E100u
#define SCS_NVIC_ICER 0xE000E180u
#define SCS_NVIC_ISPR 0xE000E200u
#define SCS_NVIC_ICPR 0xE000E280u
#define SCS_NVIC_IPR 0xE000E400u
#define SCS_CPUID 0xE000ED00u
#define SCS_ICSR 0xE000ED04u
#define SCS_VTOR 0xE000ED08u
#define SCS_AIRCR 0xE000ED0Cu
#define SCS_SCR 0xE000ED10u
#define SCS_CCR 0xE000ED14u
#define SCS_SHPR1 0xE000ED18u
#define SCS_SHCSR 0xE000ED24u
#define SCS_CFSR 0xE000ED28u
#define SCS_HFSR 0xE000ED2Cu
#define SCS_MMFAR 0xE000ED34u
#define SCS_BFAR 0xE000ED38u
#define SCS_MPU_TYPE 0xE000ED90u
#define SCS_MPU_CTRL 0xE000ED94u
#define SCS_MPU_RNR 0xE000ED98u
#define SCS_MPU_RBAR 0xE000ED9Cu
#define SCS_MPU_RASR 0xE000EDA0u

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
static inline uint32_t systick_value(void) { return scs_read(SCS_SYST_CVR); }

// ---- interrupt controller, section B3.4 ----

static inline void nvic_enable(uint32_t irq) { scs_write(SCS_NVIC_ISER + 4u * (irq / 32u), 1u << (irq % 32u)); }
static inline void nvic_disable(uint32_t irq) {
    scs_write(SCS_NVIC_ICER + 4u * (irq / 32u), 1u << (irq % 32u));
    // The interrupt may still be taken until the write has reached the controller.
    cpu_data_barrier();
    cpu_instruction_barrier();
}
static inline void nvic_pend(uint32_t irq) { scs_write(SCS_NVIC_ISPR + 4u * (irq / 32u), 1u << (irq % 32u)); }
static inline void nvic_clear_pending(uint32_t irq) {
    scs_write(SCS_NVIC_ICPR + 4u * (irq / 32u), 1u << (irq % 32u));
}
// 0 is the most urgent; a part implements the upper bits only (three at least, Cortex-M3).
static inline void nvic_set_priority(uint32_t irq, uint8_t priority) {
    *(volatile uint8_t *)(SCS_NVIC_IPR + irq) = priority;
}

// ---- system control block, section B3.2 ----

static inline void scb_set_vector_table(uint32_t address) {
    scs_write(SCS_VTOR, address);
    cpu_data_barrier();
}
static inline uint32_t scb_vector_table(void) { return scs_read(SCS_VTOR); }

__attribute__((noreturn)) static inline void scb_reset(void) {
    cpu_data_barrier();
    scs_write(SCS_AIRCR, 0x05FA0004u); // VECTKEY, SYSRESETREQ
    cpu_data_barrier();
    for (;;) {
        cpu_instruction_barrier(); // the request takes some cycles
    }
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
static inline void scb_pend_switch(void) { scs_write(SCS_ICSR, 1u << 28); }       // PENDSVSET
static inline void scb_clear_switch(void) { scs_write(SCS_ICSR, 1u << 27); }      // PENDSVCLR
static inline void scb_clear_systick(void) { scs_write(SCS_ICSR, 1u << 25); }     // PENDSTCLR
static inline void scb_pend_tick(void) { scs_write(SCS_ICSR, 1u << 26); }         // PENDSTSET
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
static inline uint32_t fault_status(void) { return scs_read(SCS_CFSR); }
static inline void fault_clear(uint32_t status) { scs_write(SCS_CFSR, status); } // write one to clear
static inline uint32_t fault_memory_address(void) { return scs_read(SCS_MMFAR); }
static inline uint32_t fault_bus_address(void) { return scs_read(SCS_BFAR); }
static inline uint32_t fault_hard_status(void) { return scs_read(SCS_HFSR); }

// ---- memory protection unit (PMSAv7), section B3.5 ----

static inline uint32_t mpu_regions(void) { return (scs_read(SCS_MPU_TYPE) >> 8) & 0xFFu; }

#ifndef ARMV8M_REGISTERS_H
// `rbar` carries VALID and the region number (boards/mpu.py), so RNR is not needed.
static inline void mpu_set_region(uint32_t rbar, uint32_t rasr) {
    scs_write(SCS_MPU_RBAR, rbar);
    scs_write(SCS_MPU_RASR, rasr);
}
static inline void mpu_clear_region(uint32_t number) {
    scs_write(SCS_MPU_RNR, number);
    scs_write(SCS_MPU_RASR, 0u);
}
#endif
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
