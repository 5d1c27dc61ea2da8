// SPDX-License-Identifier: Apache-2.0
#include <stdint.h>
uint32_t (*simulated_read)(uint32_t address);
void (*simulated_write)(uint32_t address, uint32_t value);
// Each question is a microsecond later.
uint64_t syscall_time(void) {
    static uint64_t now;
    return now++;
}
