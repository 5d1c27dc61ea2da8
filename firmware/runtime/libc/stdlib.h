// SPDX-License-Identifier: Apache-2.0
// No heap of C's own, no process: only what sources that include it by habit need.
#ifndef COFFRET_LIBC_STDLIB_H
#define COFFRET_LIBC_STDLIB_H

#include <stddef.h>

long long strtoll(const char *restrict text, char **restrict end, int base);
_Noreturn void abort(void);

#endif
