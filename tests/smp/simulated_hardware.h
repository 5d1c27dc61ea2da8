// SPDX-License-Identifier: Apache-2.0
// What both simulated boards share: flash in memory at the board's own address (simulated_hardware.c), and a port
// (simulated_port.c: a file descriptor).
#ifndef SIMULATED_HARDWARE_H
#define SIMULATED_HARDWARE_H

#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>

enum simulated_end { SIMULATED_RESET = 1, SIMULATED_CLOSED = 2, SIMULATED_EXIT = 3 };

extern jmp_buf simulated_off;
void simulated_port(int port);
// Blocks; leaves by `simulated_off` when the host has gone.
size_t simulated_read(uint8_t *data, size_t capacity);
size_t simulated_write(const uint8_t *data, size_t length);

#endif
