// SPDX-License-Identifier: Apache-2.0
// What the service tells the host, one line a fact: `name value [value]`.
#ifndef REPORT_H
#define REPORT_H

#include <stdint.h>

void put(const char *text);
void put_number(int32_t value);
void end_line(void);
void say(const char *name, int32_t value); // a whole line

#endif
