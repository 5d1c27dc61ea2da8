// SPDX-License-Identifier: Apache-2.0
// Private to the Secure world: its registers (Arm DDI 0553), and what it keeps while the image runs.
#ifndef ARMV8M_SECURE_H
#define ARMV8M_SECURE_H

#include <arm_cmse.h>
#include <stdbool.h>
#include <stdint.h>

#include "board_config.h"
#include "boot.h"
#include "registers.h"
#include "services/token.h"

// ---- security attribution unit (section B8.4): what no region names is Secure ----

#define SCS_SAU_CTRL 0xE000EDD0u
#define SCS_SAU_RNR 0xE000EDD8u
#define SCS_SAU_RBAR 0xE000EDDCu
#define SCS_SAU_RLAR 0xE000EDE0u

enum sau_kind { SAU_NON_SECURE = 1, SAU_CALLABLE = 3 };
static inline void sau_set_region(uint32_t number, uint32_t base, uint32_t end, enum sau_kind kind) {
    scs_write(SCS_SAU_RNR, number);
    scs_write(SCS_SAU_RBAR, base);
    scs_write(SCS_SAU_RLAR, (end - 32u) | (uint32_t)kind);
}
static inline void sau_clear_region(uint32_t number) {
    scs_write(SCS_SAU_RNR, number);
    scs_write(SCS_SAU_RLAR, 0u);
}
static inline void sau_enable(void) {
    scs_write(SCS_SAU_CTRL, 1u);
    cpu_data_barrier();
    cpu_instruction_barrier();
}

// ---- SecureFault (section D1.2, SFSR) ----

#define SCS_SFSR 0xE000EDE4u
#define SCS_SFAR 0xE000EDE8u
#define SECURE_FAULT_INVEP (1u << 0)        // jumped into Secure memory, not to a gateway
#define SECURE_FAULT_AUVIOL (1u << 3)       // loaded from or stored to Secure memory
#define SECURE_FAULT_ADDRESS_VALID (1u << 6)
static inline uint32_t secure_fault_status(void) {
    uint32_t status = scs_read(SCS_SFSR);
    scs_write(SCS_SFSR, status); // write one to clear
    return status;
}
static inline uint32_t secure_fault_address(void) { return scs_read(SCS_SFAR); }
// SecureFault and our own MemManage as exceptions of their own instead of HardFault.
static inline void secure_faults_enable(void) { scs_write(SCS_SHCSR, scs_read(SCS_SHCSR) | 1u << 19 | 1u << 16); }

// AIRCR: PRIS (bit 14), Secure exceptions come first; BFHFNMINS (bit 13), bus faults and hard faults of the Non-secure
// world are its own business. SYSRESETREQS stays 0: the monitor may reset the board.
static inline void secure_set_exceptions(void) { scs_write(SCS_AIRCR, 0x05FA0000u | 1u << 14 | 1u << 13); }

// ---- interrupts of the Non-secure world: 32 a word ----

#define SCS_NVIC_ITNS 0xE000E380u
static inline void nvic_target_non_secure(uint32_t word, uint32_t mask) { scs_write(SCS_NVIC_ITNS + 4u * word, mask); }

// ---- the Non-secure world's banked registers ----

#define NON_SECURE_ALIAS 0x20000u
static inline void non_secure_set_vector_table(uint32_t table) { scs_write(SCS_VTOR + NON_SECURE_ALIAS, table); }
static inline bool non_secure_faults_enabled(void) {
    return (scs_read(SCS_SHCSR + NON_SECURE_ALIAS) & 7u << 16) == 7u << 16;
}
static inline void non_secure_pend(uint32_t shcsr_bit) {
    uint32_t at = SCS_SHCSR + NON_SECURE_ALIAS;
    scs_write(at, scs_read(at) | shcsr_bit);
}
static inline void non_secure_pend_usage_fault(void) { non_secure_pend(1u << 12); }
static inline void non_secure_pend_memory_fault(uint32_t address) {
    scs_write(SCS_MMFAR + NON_SECURE_ALIAS, address);
    non_secure_pend(1u << 13);
}
static inline uint32_t non_secure_control(void) {
    uint32_t control;
    __asm__ volatile("mrs %0, control_ns" : "=r"(control));
    return control;
}

// ---- the board's part (boot_security.c of the board or its family) ----

// Gives memories, devices and interrupts to the Non-secure world: SAU, protection controllers, interrupt targets.
// Everything that is not named there stays Secure. Called first of all.
void board_separate_worlds(void);

// The Secure world's own map is almost made; `region` and those behind it are free for what else the board's drivers reach.
void board_map_secure(uint32_t region);
static inline void secure_set_region(uint32_t number, uint32_t base, uint32_t end, uint32_t rights, uint32_t kind) {
    mpu_set_region(number, base | rights, (end - 32u) | kind);
}

// ---- what the Secure world keeps ----

#define SECURE_COMPONENTS 24u
#define SECURE_TEXT_SIZE 1024u          // of all components
#define SECURE_REPLY_SIZE 2048u         // what the manager can take

struct secure_state {
    struct handoff facts;               // boot builds it here (BOARD_BOOT_HANDOFF_BASE); with the attestation key
    uint32_t running;                   // the image was entered: a fault is no longer boot's
    uint32_t busy;                      // a task is inside a gateway
    uint32_t component_count;           // 0: the image said nothing that could be attested
    struct component components[SECURE_COMPONENTS]; // their texts lie in `text`
    const char *appliance_version;
    uint32_t text_used;
    char text[SECURE_TEXT_SIZE];
    struct store store;
    struct token_maker maker;
    struct attest_state now;
    uint32_t reply_length;
    uint8_t reply[SECURE_REPLY_SIZE];
};

_Static_assert(sizeof(struct secure_state) <= BOARD_SECURE_STATE_SIZE, "the state fits its memory");
_Static_assert(BOARD_SECURE_STATE_BASE == BOARD_BOOT_HANDOFF_BASE, "boot's handoff is its beginning");

static inline struct secure_state *secure(void) { return (struct secure_state *)BOARD_SECURE_STATE_BASE; }

// Copies what the image with the vector table at `table` says of itself, and opens the record store. The image has been
// verified, and nothing of it has run yet: later it may be anything.
void secure_remember_image(uint32_t table);

#endif
