// SPDX-License-Identifier: Apache-2.0
// The image's vector table: one entry serves every exception. In a place that no exception uses the Secure world finds what
// it must know of the image.
#include "core_parts.h"
#include "image_facts.h"

extern uint32_t __main_stack_top[];

__attribute__((used)) static void core_reset(void) {
    cpu_interrupts_disable();
    monitor_start();
}

static const struct image_facts facts = {
    .magic = IMAGE_FACTS_MAGIC,
    .counts = &coffret_counts,
    .components = coffret_components,
    .appliance_version = coffret_appliance_version,
};

#define EXCEPTIONS (16u + BOARD_EXTERNAL_INTERRUPTS)
_Static_assert(EXCEPTIONS * 4u <= 512u, "the table is aligned to the 512 bytes of the image's header");
typedef void (*vector)(void);

__attribute__((section(".vectors"), used)) const struct {
    uint32_t *main_stack;
    vector reset;
    vector fault[IMAGE_FACTS_VECTOR - 2u];
    const struct image_facts *facts;
    vector exception[EXCEPTIONS - IMAGE_FACTS_VECTOR - 1u];
} core_vectors = {
    __main_stack_top,
    core_reset,
    {[0 ... IMAGE_FACTS_VECTOR - 3u] = core_exception},
    &facts,
    {[0 ... EXCEPTIONS - IMAGE_FACTS_VECTOR - 2u] = core_exception},
};

uint32_t core_vector_table(void) { return (uint32_t)&core_vectors; }
