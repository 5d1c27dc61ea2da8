// SPDX-License-Identifier: Apache-2.0
#include "coffret/boot_state.h"

#include <string.h>

static uint8_t slot_or_none(uint8_t slot) {
    return slot <= 1 ? slot : BOOT_SLOT_NONE;
}

void boot_state_decode(struct boot_state *state, int length) {
    if (length != (int)sizeof *state) {
        *state = (struct boot_state){.active = BOOT_SLOT_NONE, .pending = BOOT_SLOT_NONE};
    }
    state->active = slot_or_none(state->active);
    state->pending = slot_or_none(state->pending);
}

void boot_state_load(const struct store *store, struct boot_state *state) {
    boot_state_decode(state, store_get(store, STORE_BOOT_STATE, state, sizeof *state));
}

int boot_state_save(struct store *store, const struct boot_state *state) {
    return store_put(store, STORE_BOOT_STATE, state, sizeof *state);
}

int boot_state_mark_test(struct store *store, uint8_t slot) {
    struct boot_state state;
    boot_state_load(store, &state);
    state.pending = slot;
    state.flags &= (uint8_t)~BOOT_TRIED;
    return boot_state_save(store, &state);
}

int boot_state_confirm(struct store *store, uint8_t slot, uint32_t counter) {
    struct boot_state state;
    boot_state_load(store, &state);
    state.active = slot;
    state.pending = BOOT_SLOT_NONE;
    state.flags &= (uint8_t)~BOOT_TRIED;
    int error = boot_state_save(store, &state);
    return error != 0 ? error : security_counter_raise(store, counter);
}

int boot_state_set_recovery(struct store *store, int recovery) {
    struct boot_state state;
    boot_state_load(store, &state);
    state.flags = (uint8_t)((state.flags & ~BOOT_RECOVERY) | (recovery ? BOOT_RECOVERY : 0));
    return boot_state_save(store, &state);
}

// A record that is a number of `size` bytes, little endian; 0: there is none.
static uint32_t load_number(const struct store *store, uint8_t key, size_t size) {
    uint32_t number = 0;
    return store_get(store, key, &number, sizeof number) == (int)size ? number : 0;
}

// Never lowers it.
static int raise_number(struct store *store, uint8_t key, uint32_t number, size_t size) {
    return number <= load_number(store, key, size) ? 0 : store_put(store, key, &number, size);
}

uint32_t security_counter_load(const struct store *store) {
    return load_number(store, STORE_SECURITY_COUNTER, sizeof(uint32_t));
}

int security_counter_raise(struct store *store, uint32_t counter) {
    return raise_number(store, STORE_SECURITY_COUNTER, counter, sizeof counter);
}

uint16_t key_floor_load(const struct store *store) {
    return (uint16_t)load_number(store, STORE_KEY_FLOOR, sizeof(uint16_t));
}

int key_floor_raise(struct store *store, uint16_t floor) {
    return raise_number(store, STORE_KEY_FLOOR, floor, sizeof floor);
}

void load_limits(const struct store *store, struct image_limits *limits) {
    uint32_t lifecycle = load_number(store, STORE_LIFECYCLE, sizeof limits->lifecycle);
    limits->minimum_counter = security_counter_load(store);
    limits->key_floor = key_floor_load(store);
    limits->lifecycle = (uint16_t)(lifecycle != 0u ? lifecycle : LIFECYCLE_PROVISIONING);
}
