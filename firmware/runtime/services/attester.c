// SPDX-License-Identifier: Apache-2.0
// The attester: the only task that may ask for a signature of the attestation key. It answers a nonce with a PSA
// attestation token (RFC 9783) and boot's certificate of the key.
#include "coffret/attest.h"
#include "coffret/syscall.h"
#include "coffret/tables.h"

#define NONCE_MAX 64u

static uint8_t nonce[NONCE_MAX] __attribute__((section(".attester.bss")));

static bool send(const void *data, size_t length) {
    return syscall3(SYS_EVIDENCE_DONE, (uint32_t)data, length, EVIDENCE_MORE) == 0;
}

_Noreturn void attester_main(const struct task *self);

_Noreturn void attester_main(const struct task *self) {
    (void)self;
    for (;;) {
        int32_t length = syscall3(SYS_EVIDENCE_NEXT, (uint32_t)nonce, sizeof nonce, 0);
        if (length <= 0) {
            continue;
        }
        bool answered = attest_answer(nonce, (size_t)length, send);
        // The end of the reply, or that there is none.
        syscall3(SYS_EVIDENCE_DONE, 0, 0, answered ? EVIDENCE_COMPLETE : EVIDENCE_FAILED);
    }
}
