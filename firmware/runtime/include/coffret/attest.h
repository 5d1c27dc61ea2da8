// SPDX-License-Identifier: Apache-2.0
// What the attester asks of whoever holds the attestation key: itself (services/attest_local.c), or the Secure world
// (boards/cores/armv8m/core_gateways.c).
#ifndef COFFRET_ATTEST_H
#define COFFRET_ATTEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The reply to `nonce` (32, 48 or 64 bytes), in pieces to `send`, which returns false to give up: length of the token and
// of the certificate, each u16 little endian, token, certificate. False: there is no evidence, whatever was sent.
bool attest_answer(const uint8_t *nonce, size_t nonce_length, bool (*send)(const void *data, size_t length));

#endif
