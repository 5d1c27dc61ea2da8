// SPDX-License-Identifier: Apache-2.0
// What the image says of itself (its runtime, its enclaves), copied into the Secure world while it is still the image that
// was measured. From then on a token can say nothing else, whatever becomes of the Non-secure world.
#include "coffret/flash.h"
#include "image_facts.h"
#include "secure.h"

#define TEXT_MAX 64u                // as the tables' readers on the host have it

// The part of the slot that the verified digest covers, from the vector table on.
struct measured {
    uint32_t base;
    uint32_t size;
};

static bool is_measured(const struct measured *image, const void *at, uint32_t size) {
    uint32_t address = (uint32_t)at;
    return address >= image->base && size <= image->size && address - image->base <= image->size - size;
}

static bool is_aligned(const void *at) { return ((uint32_t)at & 3u) == 0; }

// The text at `from`, copied; NULL when it is not one.
static const char *keep_text(const struct measured *image, const char *from) {
    struct secure_state *state = secure();
    char *to = state->text + state->text_used;
    uint32_t offset = (uint32_t)from - image->base;
    for (uint32_t i = 0; i <= TEXT_MAX; i++) {
        if (offset >= image->size || i >= image->size - offset || state->text_used + i >= SECURE_TEXT_SIZE) {
            return NULL;
        }
        to[i] = from[i];
        if (from[i] == '\0') {
            state->text_used += i + 1u;
            return to;
        }
    }
    return NULL;
}

static bool keep_component(const struct measured *image, const struct component *from, struct component *to) {
    *to = *from;
    to->type = keep_text(image, from->type);
    to->version = keep_text(image, from->version);
    return to->type != NULL && to->version != NULL;
}

static uint32_t keep_components(const struct measured *image) {
    struct secure_state *state = secure();
    const struct image_facts *facts = ((const struct image_facts *const *)image->base)[IMAGE_FACTS_VECTOR];
    if (!is_aligned(facts) || !is_measured(image, facts, sizeof *facts) || facts->magic != IMAGE_FACTS_MAGIC ||
        !is_measured(image, facts->counts, sizeof *facts->counts)) {
        return 0;
    }
    uint32_t count = facts->counts->components;
    if (count > SECURE_COMPONENTS || !is_aligned(facts->components) ||
        !is_measured(image, facts->components, count * sizeof *facts->components)) {
        return 0;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!keep_component(image, &facts->components[i], &state->components[i])) {
            return 0;
        }
    }
    state->appliance_version = keep_text(image, facts->appliance_version);
    return state->appliance_version != NULL ? count : 0;
}

void secure_remember_image(uint32_t table) {
    struct secure_state *state = secure();
    // The header before the table was checked with the image: offset 12 is the size of the body.
    struct measured image = {.base = table, .size = *(const uint32_t *)(table - 0x200u + 12u)};
    state->component_count = image.size >= 512u ? keep_components(&image) : 0u;
    store_open(&state->store, BOARD_STORE_OFFSET, BOARD_STORE_BANK_SIZE);
}
