// SPDX-License-Identifier: Apache-2.0
// The manager's two files as they see each other.
#ifndef COFFRET_MANAGER_H
#define COFFRET_MANAGER_H

#include "coffret/cbor.h"
#include "smp/server.h"

// Groups 66 and 67. The scratch is the request's own buffer: what was in it has been read.
int manager_log(const struct smp_request *request, uint8_t *scratch, size_t capacity, struct cbor_writer *reply);
int manager_enclaves(struct cbor_writer *reply);

#endif
