// SPDX-License-Identifier: Apache-2.0
// Why an image was refused. `flasher/reasons.py` says the same in words.
#ifndef COFFRET_REASON_H
#define COFFRET_REASON_H

enum reason {
    REASON_OK = 0,
    REASON_NO_IMAGE = 1,
    REASON_HEADER = 2,
    REASON_SLOT_ADDRESS = 3,
    REASON_TOO_LARGE = 4,
    REASON_TLV = 5,
    REASON_BOARD = 6,
    REASON_NO_HASH = 7,
    REASON_HASH = 8,
    REASON_KEY = 9,
    REASON_NO_SIGNATURE = 10,
    REASON_SIGNATURE = 11,
    REASON_COUNTER = 12,
    REASON_NO_POLICY = 13,
    REASON_FLASH = 14,
    REASON_NOT_CONFIRMED = 15,
    REASON_IDENTITY = 16,       // no device secret: boot stops in recovery, whatever the slots hold
    REASON_REVOKED = 17,        // by a revoked key, or by a development key on a secured device
    REASON_THRESHOLD = 18,      // good signatures, but not as many as boot asks for
    REASON_POST_QUANTUM = 19,   // the LMS signature that boot asks for is missing or false
    REASON_REVOKES_ITSELF = 20, // it would revoke a key that signed it
    REASON_FAULT = 21,          // the check contradicts itself: an instruction went wrong, perhaps on purpose
    REASON_DECOMMISSIONED = 22, // the device's secrets were erased for good: boot stops in recovery
    REASON_DELTA_BASE = 23,     // a delta for another image than the one that runs
    REASON_DELTA = 24           // a delta that breaks its own rules
};

#endif
