// SPDX-License-Identifier: Apache-2.0
// The management port of a simulated board: a file descriptor.
#include <unistd.h>

#include "simulated_hardware.h"

#ifndef SIMULATED_BYTEWISE
#define SIMULATED_BYTEWISE 0
#endif

static int port_file = -1;

void simulated_port(int port) { port_file = port; }

size_t simulated_read(uint8_t *data, size_t capacity) {
    // Byte by byte where a reset must not lose what follows it.
    ssize_t count = read(port_file, data, SIMULATED_BYTEWISE ? 1 : capacity);
    if (count <= 0) {
        longjmp(simulated_off, SIMULATED_CLOSED);
    }
    return (size_t)count;
}

size_t simulated_write(const uint8_t *data, size_t length) {
    for (size_t done = 0; done < length;) {
        ssize_t count = write(port_file, data + done, length - done);
        if (count <= 0) {
            longjmp(simulated_off, SIMULATED_CLOSED);
        }
        done += (size_t)count;
    }
    return length;
}
