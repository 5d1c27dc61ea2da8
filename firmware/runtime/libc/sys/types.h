// SPDX-License-Identifier: Apache-2.0
// POSIX types that MicroPython's sources use.
#ifndef COFFRET_LIBC_SYS_TYPES_H
#define COFFRET_LIBC_SYS_TYPES_H

#include <stddef.h>

typedef int ssize_t;

#endif
