// SPDX-License-Identifier: Apache-2.0
// Registers that every core here has, at the same addresses (Arm DDI 0419, 0403 and 0553: the Architecture Reference Manuals
// of Armv6-M, Armv7-M and Armv8-M; sections are DDI 0403's), behind named functions. Include a core's registers.h, which
// adds what differs under the same names, so that drivers of a family do not ask which core it is.
// Everything here but the plain reads of cpu state needs privilege.
#ifndef COMMON_SCS_H
#define COMMON_SCS_H

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

// CONTROL, section B1.4.4: bit 0 unprivileged thread mode.
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
#define SCS_MPU_TYPE 0xE000ED90u
#define SCS_MPU_CTRL 0xE000ED94u
#define SCS_MPU_RNR 0xE000ED98u
#define SCS_MPU_RBAR 0xE000ED9Cu

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

// ---- interrupt controller, section B3.4 ----

static inline void nvic_enable(uint32_t irq) { scs_write(SCS_NVIC_ISER + 4u * (irq / 32u), 1u << (irq % 32u)); }
static inline void nvic_disable(uint32_t irq) {
    scs_write(SCS_NVIC_ICER + 4u * (irq / 32u), 1u << (irq % 32u));
    // The interrupt may still be taken until the write has reached the controller.
    cpu_data_barrier();
    cpu_instruction_barrier();
}
static inline void nvic_clear_pending(uint32_t irq) {
    scs_write(SCS_NVIC_ICPR + 4u * (irq / 32u), 1u << (irq % 32u));
}

// ---- system control block, section B3.2 ----

static inline void scb_set_vector_table(uint32_t address) {
    scs_write(SCS_VTOR, address);
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

static inline void scb_pend_tick(void) { scs_write(SCS_ICSR, 1u << 26); } // PENDSTSET

// ---- memory protection unit, section B3.5: what its flavours share ----

static inline uint32_t mpu_regions(void) { return (scs_read(SCS_MPU_TYPE) >> 8) & 0xFFu; }
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
