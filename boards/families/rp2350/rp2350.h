// SPDX-License-Identifier: Apache-2.0
// Registers of the RP2350 (data sheet RP-008373, sections named below) behind named functions. What the RP2040 has as well
// is in ../rp2/blocks.h.
#ifndef RP2350_RP2350_H
#define RP2350_RP2350_H

#define RESETS_BASE 0x40020000u // section 7.5
#define RESET_IO_BANK0 (1u << 6)
#define RESET_PADS_BANK0 (1u << 9)
#define RESET_PLL_SYS (1u << 14)
#define RESET_TIMER0 (1u << 23)
#define RESET_TRNG (1u << 25)
#define RESET_UART0 (1u << 26)
#define RESET_UART1 (1u << 27)

#define XOSC_BASE 0x40048000u    // section 8.2
#define PLL_SYS_BASE 0x40050000u // section 8.6

// Section 8.1.7: a clock's CTRL, then its SELECTED (one bit a source) 8 bytes on.
#define CLOCKS_BASE 0x40010000u
#define CLOCK_REF 0x30u
#define CLOCK_SYS 0x3Cu
#define CLOCK_PERI 0x48u
#define CLOCK_REF_CRYSTAL 2u
#define CLOCK_SYS_REFERENCE 0u
#define CLOCK_SYS_PLL 1u // the auxiliary source, which is the system PLL after reset
#define CLOCK_ENABLE (1u << 11)

#include "../rp2/blocks.h"

// ---- pins, section 9.11: IO_BANK0 GPIOn_CTRL 8n + 4; PADS_BANK0 GPIOn 4n + 4 ----

#define IO_BANK0_BASE 0x40028000u
#define PADS_BANK0_BASE 0x40038000u
#define PIN_UART 2u
#define PAD_INPUT_ENABLE (1u << 6)
#define PAD_DRIVE_4_MA (1u << 4)
#define PAD_PULL_UP (1u << 3)
#define PAD_SCHMITT (1u << 1)

// A pad is isolated from the rest after a reset: the function is chosen first, then bit 8 goes (section 9.7).
static inline void pin_connect(uint32_t pin, uint32_t function, uint32_t pad) {
    register_write(IO_BANK0_BASE + 8u * pin + 4u, function);
    register_write(PADS_BANK0_BASE + 4u * pin + 4u, pad);
}

// ---- tick generators, section 8.5: CTRL, CYCLES; 12 bytes each ----

#define TICKS_BASE 0x40108000u
#define TICK_TIMER0 0x18u
#define TICK_WATCHDOG 0x30u

// One tick a microsecond.
static inline void tick_start(uint32_t generator, uint32_t reference_hz) {
    register_write(TICKS_BASE + generator + 0x04u, reference_hz / 1000000u);
    register_write(TICKS_BASE + generator, 1u);
}

// ---- watchdog, section 12.9: CTRL 0x00, LOAD 0x04, REASON 0x08 ----

#define WATCHDOG_TRIGGER (1u << 31)
#define WATCHDOG_ENABLE (1u << 30)
#define WATCHDOG_LOAD_MAX 0xFFFFFFu
#define WATCHDOG_BY_TIMER 1u
#define WATCHDOG_BY_FORCE 2u
static inline void watchdog_control(uint32_t base, uint32_t bits) { register_write(base, bits); }
static inline void watchdog_load(uint32_t base, uint32_t microseconds) { register_write(base + 0x04u, microseconds); }
static inline uint32_t watchdog_reason(uint32_t base) { return register_read(base + 0x08u); }

// ---- power-on state machine, section 7.4: WDSEL 0x08, what a watchdog reset resets ----

#define PSM_BASE 0x40018000u
#define PSM_EVERYTHING_BUT_OSCILLATORS 0x01FFFFF3u // ACCESSCTRL among it
static inline void watchdog_resets(uint32_t what) { register_write(PSM_BASE + 0x08u, what); }

// ---- access control, section 10.6: who reaches a block. A register a block; writes carry a password ----

#define ACCESSCTRL_BASE 0x40060000u
#define ACCESSCTRL_PASSWORD 0xACCE0000u
#define ACCESS_DMA 0x44u    // the first of the blocks that are no memory; the last is XIP_AUX
#define ACCESS_TIMER0 0x98u
#define ACCESS_UART0 0xA0u
#define ACCESS_UART1 0xA4u
#define ACCESS_XIP_AUX 0xE8u
#define ACCESS_NON_SECURE 3u // NSP, NSU
#define ACCESS_CORE0 (1u << 4)
#define ACCESS_SECURE (1u << 3 | 1u << 2)
#define ACCESS_NON_SECURE_PRIVILEGED (1u << 1)

static inline void access_set(uint32_t block, uint32_t who) {
    register_write(ACCESSCTRL_BASE + block, ACCESSCTRL_PASSWORD | who);
}
static inline uint32_t access_get(uint32_t block) { return register_read(ACCESSCTRL_BASE + block) & 0xFFu; }
// FORCE_CORE_NS 0x04: the second processor, which boot never starts, is Non-secure on the bus whatever it believes.
static inline void access_force_core1(void) { register_write(ACCESSCTRL_BASE + 0x04u, ACCESSCTRL_PASSWORD | 1u << 1); }
// GPIO_NSMASK0 0x0C, GPIO_NSMASK1 0x10: no pin is the Non-secure world's.
static inline void access_close_pins(void) {
    register_write(ACCESSCTRL_BASE + 0x0Cu, ACCESSCTRL_PASSWORD);
    register_write(ACCESSCTRL_BASE + 0x10u, ACCESSCTRL_PASSWORD);
}
// LOCK 0x00: until the next reset nobody changes any of it, neither processors nor debugger.
static inline void access_lock(void) { register_write(ACCESSCTRL_BASE, ACCESSCTRL_PASSWORD | 0xFu); }

// ---- random numbers, section 12.12: the ring oscillators' bits, 192 at a time ----

#define TRNG_BASE 0x400F0000u
#define TRNG_WORDS 6u
#define TRNG_VALID 1u
#define TRNG_FAILED 0xEu // auto-correlation, CRNGT, von Neumann: the part's own tests
static inline void random_clear(void) { register_write(TRNG_BASE + 0x108u, 0xFu); }           // RNG_ICR
static inline uint32_t random_state(void) { return register_read(TRNG_BASE + 0x104u) & 0xFu; } // RNG_ISR
static inline uint32_t random_word(uint32_t index) { return register_read(TRNG_BASE + 0x114u + 4u * index); } // EHR_DATAn
static inline void random_source(bool on) { register_write(TRNG_BASE + 0x12Cu, on ? 1u : 0u); }
static inline void random_sample_every(uint32_t cycles) { register_write(TRNG_BASE + 0x130u, cycles); } // SAMPLE_CNT1
static inline void random_restart(void) { register_write(TRNG_BASE + 0x140u, 1u); }           // TRNG_SW_RESET

#endif
