// SPDX-License-Identifier: Apache-2.0
// The host's end of a simulated board's port in a fuzzer: SMP messages as the console's lines, made and read here (Zephyr:
// "SMP over console"), for no fuzzer finds a CRC. The harness gives the messages, one after another.
#ifndef FUZZED_WIRE_H
#define FUZZED_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "simulated_hardware.h"

// Aborts, and says where: the fuzzer's finding.
#define MUST(claim) ((claim) ? (void)0 : wire_broken(__FILE__, __LINE__, #claim))
_Noreturn void wire_broken(const char *file, int line, const char *claim);

// Forgets what was on its way.
void wire_start(void);
// A message for the board: at most SMP_BUFFER bytes.
void wire_send(const uint8_t *message, size_t length);
// The whole reply since the last wire_send(); NULL: there was none. It must be one well-formed frame.
const uint8_t *wire_reply(size_t *length);
// The harness' part: puts the next message on its way. False: that was all, and the port closes.
bool wire_next(void);

#endif
