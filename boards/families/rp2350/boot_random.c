// SPDX-License-Identifier: Apache-2.0
// The random number generator of the RP2350 (data sheet, section 12.12), with the part's own tests on; in the Secure world.
#include "coffret/board.h"
#include "rp2350.h"

#define SAMPLE_CYCLES 1000u  // of the system clock between two samples of the ring: far apart, so the tests seldom fail
#define PATIENCE_US 20000u   // 192 samples take 1.3 ms; the corrector drops three of four
#define ATTEMPTS 4u

static void begin(void) {
    random_restart();
    random_sample_every(SAMPLE_CYCLES);
    random_clear();
    random_source(true);
}

// False: the part's tests refused what was sampled, or nothing came.
static bool collect(void) {
    begin();
    uint32_t start = board_ticks();
    uint32_t state;
    while ((state = random_state()) == 0u) {
        if (board_ticks() - start > PATIENCE_US) {
            return false;
        }
    }
    return state == TRNG_VALID;
}

static bool collect_patiently(void) {
    for (uint32_t i = 0; i < ATTEMPTS; i++) {
        if (collect()) {
            return true;
        }
    }
    return false;
}

size_t board_entropy(uint8_t *data, size_t length) {
    block_release(RESET_TRNG);
    size_t done = 0;
    while (done < length && collect_patiently()) {
        for (uint32_t i = 0; i < TRNG_WORDS; i++) {
            uint32_t word = random_word(i);
            for (uint32_t byte = 0; byte < 4u && done < length; byte++) {
                data[done++] = (uint8_t)(word >> 8u * byte);
            }
        }
    }
    random_source(false);
    return done == length ? done : 0u;
}
