// SPDX-License-Identifier: Apache-2.0
// Words of a protection region of 2^(log2) bytes, written apart from boards/mpu.py and boards/pmsav8.py.
#ifndef REGIONS_H
#define REGIONS_H

#include "board_config.h"

#ifdef BOARD_MPU_SLOT_A_RLAR // PMSAv8: rights in the low bits of RBAR, enable and kind of memory in those of RLAR
#define REGION(number, base, log2, access) {(base) | ((access) & 31u), ((base) + (1u << (log2)) - 32u) | (access) >> 8}
#define NO_REGION(number) {0, 0}
#define RAM_ACCESS (1u << 8 | 3u)
#define CODE_ACCESS (1u << 8 | 6u)
#define DEVICE_ACCESS (3u << 8 | 3u)
#else // PMSAv7
#define REGION(number, base, log2, access) {(base) | 0x10u | (number), (access) | ((log2) - 1u) << 1 | 1u}
#define NO_REGION(number) {0x10u | (number), 0}
#define RAM_ACCESS (3u << 24 | 1u << 28 | 3u << 17)
#define CODE_ACCESS (6u << 24 | 1u << 17)
#define DEVICE_ACCESS (3u << 24 | 1u << 28 | 1u << 16 | 1u << 18)
#endif

#endif
