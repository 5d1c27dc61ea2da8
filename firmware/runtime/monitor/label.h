// SPDX-License-Identifier: Apache-2.0
// The flow rule on labels (Flume's, with the capabilities of one named gate): data may go from X to Y iff
// S(X) - releases <= S(Y) and I(Y) <= I(X) + vouches. Pure: no state, nothing of the board. The executable
// reference model in enclaves/ is its oracle.
#ifndef COFFRET_MONITOR_LABEL_H
#define COFFRET_MONITOR_LABEL_H

#include <stdbool.h>

#include "coffret/tables.h"

bool label_is_empty(const struct label *label);
bool labels_are_equal(const struct label *one, const struct label *other);

// `gate` NULL: nothing is released or vouched for.
bool secrecy_may_flow(const struct label *from, const struct gate *gate, const struct label *to);
bool integrity_may_flow(const struct label *from, const struct gate *gate, const struct label *to);

#endif
