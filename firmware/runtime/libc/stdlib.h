// SPDX-License-Identifier: Apache-2.0
// No heap of C's own, no process: only what sources that include it by habit need.
#ifndef COFFRET_LIBC_STDLIB_H
#define COFFRET_LIBC_STDLIB_H

#include <stddef.h>

_Noreturn void abort(void);

#endif
