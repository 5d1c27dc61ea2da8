// SPDX-License-Identifier: Apache-2.0
// mbedTLS' headers include it for a type of time.
#ifndef COFFRET_INTTYPES_H
#define COFFRET_INTTYPES_H

#include <stdint.h>

#endif
