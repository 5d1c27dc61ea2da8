// SPDX-License-Identifier: Apache-2.0
#define COFFRET_HAS_SINKS 1
