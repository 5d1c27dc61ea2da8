// SPDX-License-Identifier: Apache-2.0
// Where the Secure world finds what the image says of itself: vector 8, which the architecture leaves unused
// (Arm DDI 0553 section B3.30), holds the address of this structure. Boot reads it in the image it has just verified.
#ifndef ARMV8M_IMAGE_FACTS_H
#define ARMV8M_IMAGE_FACTS_H

#include <stdint.h>

#include "coffret/tables.h"

#define IMAGE_FACTS_MAGIC 0x54434643u // "CFCT"
#define IMAGE_FACTS_VECTOR 8u

struct image_facts {
    uint32_t magic;
    const struct system_counts *counts;
    const struct component *components;
    const char *appliance_version;
};

#endif
