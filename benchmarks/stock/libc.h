// SPDX-License-Identifier: Apache-2.0
// What MicroPython's port to QEMU expects of a C library besides firmware/runtime/libc.
#ifndef COFFRET_STOCK_LIBC_H
#define COFFRET_STOCK_LIBC_H

_Noreturn void exit(int status);
int printf(const char *restrict format, ...);

#endif
