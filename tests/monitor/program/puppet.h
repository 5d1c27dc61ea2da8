// SPDX-License-Identifier: Apache-2.0
// A generated sequence of calls, each to be made by one of the enclaves of a generated system.
#ifndef PUPPET_H
#define PUPPET_H

#include <stdint.h>

enum operation_kind { OPERATION_SEND = 0, OPERATION_RECEIVE = 1 };

struct operation {
    uint8_t kind;
    uint8_t task;
    uint16_t channel;
    uint16_t length;            // of the message, or the capacity
    uint16_t pause_ms;          // before it
};

extern const struct operation operations[];
extern const uint32_t operation_count;

#endif
