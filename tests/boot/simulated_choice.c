// SPDX-License-Identifier: Apache-2.0
// One start of boot, as far as slots go, over a flash whose power can be cut at any step.
#include "../store/simulated_flash.c"

#include "boot.h"

#define STORE_AT BOARD_STORE_OFFSET, BOARD_STORE_BANK_SIZE

// What boot.c does between opening the store and the jump. Returns slot | trial << 8, or POWER_CUT.
int simulated_start(uint32_t *minimum);
int simulated_start(uint32_t *minimum) {
    static struct store store;
    struct boot_state state;
    struct checked_image image;
    struct image_macs macs = {.key = {1}, .key_again = {1}};
    if (setjmp(simulated.off) != 0) {
        return POWER_CUT;
    }
    store_open(&store, STORE_AT);
    boot_state_load(&store, &state);
    (void)store_get(&store, STORE_IMAGE_MAC, macs.macs, sizeof macs.macs);
    struct choice choice = choose_slot(&store, &state, &image, &macs);
    if (macs.changed) {
        (void)store_put(&store, STORE_IMAGE_MAC, macs.macs, sizeof macs.macs);
    }
    *minimum = security_counter_load(&store);
    return choice.slot | (choice.trial ? 0x100 : 0);
}

int simulated_mark(uint32_t slot);
int simulated_mark(uint32_t slot) {
    static struct store store;
    if (setjmp(simulated.off) != 0) {
        return POWER_CUT;
    }
    store_open(&store, STORE_AT);
    return boot_state_mark_test(&store, (uint8_t)slot);
}

int simulated_confirm(uint32_t slot, uint32_t counter);
int simulated_confirm(uint32_t slot, uint32_t counter) {
    static struct store store;
    if (setjmp(simulated.off) != 0) {
        return POWER_CUT;
    }
    store_open(&store, STORE_AT);
    return boot_state_confirm(&store, (uint8_t)slot, counter);
}

int simulated_reason(void);
int simulated_reason(void) {
    struct store store;
    struct boot_state state;
    store_open(&store, STORE_AT);
    boot_state_load(&store, &state);
    return state.reason;
}
