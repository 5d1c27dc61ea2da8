// SPDX-License-Identifier: Apache-2.0
// The I/O block of the MPS2's FPGA (Arm DAI 0385 section 3.9; DAI 0505): LED 0x00, BUTTON 0x08; two bits each.
#ifndef MPS2_FPGAIO_H
#define MPS2_FPGAIO_H

#include <stdbool.h>
#include <stdint.h>

#ifdef BOARD_SECURE_WORLD // as board.toml's [pins] says
#define FPGAIO_BASE 0x40302000u
#else
#define FPGAIO_BASE 0x40028000u
#endif

static inline volatile uint32_t *fpgaio_register(uint32_t offset) { return (volatile uint32_t *)(FPGAIO_BASE + offset); }
static inline bool led_get(uint32_t led) { return (*fpgaio_register(0x00u) >> led & 1u) != 0u; }
static inline void led_set(uint32_t led, bool on) {
    uint32_t others = *fpgaio_register(0x00u) & ~(1u << led);
    *fpgaio_register(0x00u) = others | (uint32_t)on << led;
}
static inline bool button_get(uint32_t button) { return (*fpgaio_register(0x08u) >> button & 1u) != 0u; }

#endif
