// SPDX-License-Identifier: Apache-2.0
// The attacker's orders, given by the service, and what the monitor made of it.
#ifndef ORDERS_H
#define ORDERS_H

#include <stdbool.h>

#include "attacks.h"
#include "program.h"

struct outcome {
    int32_t reason;     // enum fault_reason; -1: no fault, or more than one
    bool survived;      // the attacker went on
    uint32_t word;      // what it got then
    bool runs_again;    // it can be given the next order
    bool was_dirty;     // the life before had found what another one left
};

struct task_info info_of(uint32_t task);
struct outcome order_attack(uint32_t number);
int32_t order_probe(uint32_t number);           // what the call gave; 0x7FFF: it did not return
uint32_t order_nuisance(uint32_t number);       // messages that its neighbour got meanwhile
uint32_t messages_of_listener(void);            // since boot

#endif
