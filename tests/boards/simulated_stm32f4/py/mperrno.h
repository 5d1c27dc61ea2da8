// SPDX-License-Identifier: Apache-2.0
// MicroPython's error numbers are the system's own, which the host has.
#include <errno.h>
#define MP_EIO EIO
#define MP_ENODEV ENODEV
#define MP_EINVAL EINVAL
#define MP_ETIMEDOUT ETIMEDOUT
