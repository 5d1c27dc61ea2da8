// SPDX-License-Identifier: Apache-2.0
// Private to the cores: the first steps of boot, and what it leaves for itself when it faults.
#ifndef COMMON_BOOT_BEGIN_H
#define COMMON_BOOT_BEGIN_H

#include "boot.h"
#include "board_config.h"
#include "coffret/board.h"
#include "registers.h"

// From boot.ld. The stack lies below .bss, at the bottom of boot's RAM: an overflow leaves the RAM and faults.
extern uint32_t __boot_stack_top[];
extern uint32_t __boot_bss_start[];
extern uint32_t __boot_bss_end[];

// Boot takes no interrupt, so the table ends with the system exceptions.
struct boot_vector_table {
    uint32_t *stack;
    void (*handlers[15])(void);
};

// Outlives a warm reset: neither cleared at the start nor loaded. Random after power-on, hence two words.
#define FAULTED 0xFA017EDu
__attribute__((section(".noinit"))) static volatile uint32_t fault_marker[2];

// A fault in boot is a broken image header we failed to bound, or a broken part. The next start goes to recovery: the same
// fault would only come again.
static inline void boot_remember_fault(void) {
    fault_marker[0] = FAULTED;
    fault_marker[1] = ~FAULTED;
}

static inline bool boot_has_faulted(void) {
    bool faulted = fault_marker[0] == FAULTED && fault_marker[1] == ~FAULTED;
    fault_marker[0] = 0;
    return faulted;
}

static inline void boot_clear_variables(void) {
    for (uint32_t *word = __boot_bss_start; word < __boot_bss_end; word++) {
        *word = 0;
    }
}

#endif
