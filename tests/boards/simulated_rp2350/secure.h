// SPDX-License-Identifier: Apache-2.0
// Of cores/armv8m/secure.h what the part's start calls; that file is for its own compiler alone (CMSE).
#ifndef SIMULATED_SECURE_H
#define SIMULATED_SECURE_H
#include "board_config.h"
#include "registers.h"
enum sau_kind { SAU_NON_SECURE = 1, SAU_CALLABLE = 3 };
static inline void sau_write(uint32_t number, uint32_t rbar, uint32_t rlar) {
    scs_write(0xE000EDD8u, number);
    scs_write(0xE000EDDCu, rbar);
    scs_write(0xE000EDE0u, rlar);
}
static inline void sau_set_region(uint32_t number, uint32_t base, uint32_t end, enum sau_kind kind) {
    sau_write(number, base, (end - 32u) | (uint32_t)kind);
}
static inline void sau_clear_region(uint32_t number) { sau_write(number, 0u, 0u); }
static inline void sau_enable(void) { scs_write(0xE000EDD0u, 1u); }
static inline void secure_set_region(uint32_t number, uint32_t base, uint32_t end, uint32_t rights, uint32_t kind) {
    mpu_set_region(number, base | rights, (end - 32u) | kind);
}
static inline void nvic_target_non_secure(uint32_t word, uint32_t mask) { scs_write(0xE000E380u + 4u * word, mask); }
void board_separate_worlds(void);
void board_map_secure(uint32_t region);
#endif
