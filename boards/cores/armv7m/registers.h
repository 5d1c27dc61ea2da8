// SPDX-License-Identifier: Apache-2.0
// The core's registers (Arm DDI 0403, Armv7-M Architecture Reference Manual): nothing that is not shared.
#ifndef ARMV7M_REGISTERS_H
#define ARMV7M_REGISTERS_H

#include "../common/mainline.h"
#include "../common/pmsa.h"

#endif
