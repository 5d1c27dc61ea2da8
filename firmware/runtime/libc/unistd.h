// SPDX-License-Identifier: Apache-2.0
// POSIX names that MicroPython's sources use.
#ifndef COFFRET_LIBC_UNISTD_H
#define COFFRET_LIBC_UNISTD_H

#include <sys/types.h>

#define SEEK_SET 0
#define SEEK_CUR 1
#define SEEK_END 2

#endif
