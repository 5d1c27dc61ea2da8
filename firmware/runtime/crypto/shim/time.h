// SPDX-License-Identifier: Apache-2.0
// mbedTLS' headers name the type, nothing compiled here uses it.
#ifndef COFFRET_TIME_H
#define COFFRET_TIME_H

typedef long time_t;

#endif
