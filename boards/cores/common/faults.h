// SPDX-License-Identifier: Apache-2.0
// Why a task faulted, from the status registers that Armv7-M and Armv8-M Mainline have.
#ifndef COMMON_FAULTS_H
#define COMMON_FAULTS_H

#include "core_parts.h"

// Why, from the status registers (CFSR, DDI 0403 section B3.2.15). More than one bit may be set; the first match decides.
static inline uint32_t fault_reason_of(uint32_t status) {
    if (status & (FAULT_STATUS_STKOF | FAULT_STATUS_MSTKERR | FAULT_STATUS_MUNSTKERR | FAULT_STATUS_STKERR |
                  FAULT_STATUS_UNSTKERR)) {
        return FAULT_STACK; // there was no room for the frame
    }
    if (status & (FAULT_STATUS_IACCVIOL | FAULT_STATUS_IBUSERR)) {
        return FAULT_EXECUTE;
    }
    if (status & FAULT_STATUS_DACCVIOL) {
        return FAULT_MEMORY;
    }
    if (status & (FAULT_STATUS_PRECISERR | FAULT_STATUS_IMPRECISERR)) {
        return FAULT_BUS;
    }
    return FAULT_USAGE; // undefined, no Thumb state, division by zero; BKPT arrives as HardFault with no bit set
}

// The address of the data, where the processor knows it.
static inline void fault_locate(uint32_t status, struct core_fault *fault) {
    if (status & FAULT_STATUS_MMARVALID) {
        fault->address = fault_memory_address();
        fault->address_known = true;
    } else if (status & FAULT_STATUS_BFARVALID) {
        fault->address = fault_bus_address();
        fault->address_known = true;
    }
}

// The fault exceptions more urgent than all others, and division by zero a fault.
static inline void faults_start(void) {
    scb_set_exception_priority(EXCEPTION_MEMORY, PRIORITY_FAULT);
    scb_set_exception_priority(EXCEPTION_BUS, PRIORITY_FAULT);
    scb_set_exception_priority(EXCEPTION_USAGE, PRIORITY_FAULT);
    scb_enable_faults();
    scb_trap(false);
}

#endif
