// SPDX-License-Identifier: Apache-2.0
// Formatting into memory (MicroPython's shared/libc/printf.c); there are no files.
#ifndef COFFRET_LIBC_STDIO_H
#define COFFRET_LIBC_STDIO_H

#include <stdarg.h>
#include <stddef.h>

#define SEEK_SET 0
#define SEEK_CUR 1
#define SEEK_END 2

int snprintf(char *restrict s, size_t n, const char *restrict format, ...);
int vsnprintf(char *restrict s, size_t n, const char *restrict format, va_list arguments);

#endif
