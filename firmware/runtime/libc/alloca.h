// SPDX-License-Identifier: Apache-2.0
// Stack allocation, by the compiler.
#ifndef COFFRET_LIBC_ALLOCA_H
#define COFFRET_LIBC_ALLOCA_H

#define alloca __builtin_alloca

#endif
