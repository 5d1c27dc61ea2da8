// SPDX-License-Identifier: Apache-2.0
// The image's vector table: one entry serves every exception.
#include "core_parts.h"

extern uint32_t __main_stack_top[];

__attribute__((used)) static void core_reset(void) {
    cpu_interrupts_disable();
    monitor_start();
}

#define EXCEPTIONS (16u + BOARD_EXTERNAL_INTERRUPTS)
typedef void (*vector)(void);

__attribute__((section(".vectors"), used)) const struct {
    uint32_t *main_stack;
    vector reset;
    vector exception[EXCEPTIONS - 2u];
} core_vectors = {__main_stack_top, core_reset, {[0 ... EXCEPTIONS - 3u] = core_exception}};

uint32_t core_vector_table(void) { return (uint32_t)&core_vectors; }
