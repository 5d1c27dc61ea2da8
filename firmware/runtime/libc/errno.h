// SPDX-License-Identifier: Apache-2.0
// Error numbers: MicroPython brings its own (MICROPY_USE_INTERNAL_ERRNO), so only the variable is declared.
#ifndef COFFRET_LIBC_ERRNO_H
#define COFFRET_LIBC_ERRNO_H

extern int errno;

#endif
