// SPDX-License-Identifier: Apache-2.0
// The manager's two files as they see each other.
#ifndef COFFRET_MANAGER_H
#define COFFRET_MANAGER_H

#include "coffret/cbor.h"
#include "smp/server.h"

// Groups 66 and 67.
smp_handler manager_log, manager_enclaves;

#endif
