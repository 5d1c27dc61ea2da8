// SPDX-License-Identifier: Apache-2.0
// The attester: the only task that may ask for a signature of the attestation key. It answers a nonce with a PSA
// attestation token (RFC 9783) and boot's certificate of the key.
#include <string.h>

#include "coffret/attest.h"
#include "coffret/boot_access.h"
#include "coffret/store.h"
#include "coffret/syscall.h"
#include "coffret/tables.h"
#include "image_config.h"

#define NONCE_MAX 64u
#define US_PER_S 1000000u
#define LOG_PIECE 160u // one entry at least: 12 bytes and a text of 120

#define ATTESTER_BSS __attribute__((section(".attester.bss")))

ATTESTER_BSS static uint8_t nonce[NONCE_MAX];
ATTESTER_BSS static struct attest_state state;
ATTESTER_BSS static uint8_t piece[LOG_PIECE];

static bool send(const void *data, size_t length) {
    return syscall3(SYS_EVIDENCE_DONE, (uint32_t)data, length, EVIDENCE_MORE) == 0;
}

#if COFFRET_HAS_SETTINGS
ATTESTER_BSS static uint8_t settings[SETTINGS_MAX];

// Settings that were never given are the empty text. Of some that cannot be read nothing is said.
static void hash_settings(void) {
    const struct boot_services *services = boot_services();
    struct sha256_context hash;
    int32_t length = syscall3(SYS_STORE_GET, STORE_BOARD_SETTINGS, (uint32_t)settings, sizeof settings);
    if (length < 0 && length != ERR_NOT_FOUND) {
        return;
    }
    services->sha256_init(&hash);
    services->sha256_update(&hash, settings, length < 0 ? 0u : (size_t)length);
    services->sha256_finish(&hash, state.settings_digest);
    state.has_settings = 1;
}
#endif

static const char *task_name(uint8_t task) {
    return task < coffret_counts.tasks ? coffret_tasks[task].name : "monitor";
}

// An entry is hashed as it is read on the management port: sequence and milliseconds (u32 little endian), length of the
// text (u8), name of the task with its NUL, text.
static uint32_t hash_entry(const struct boot_services *services, struct sha256_context *hash, const uint8_t *at) {
    struct log_entry entry;
    memcpy(&entry, at, sizeof entry);
    const char *name = task_name(entry.task);
    services->sha256_update(hash, at, 2u * sizeof(uint32_t));
    services->sha256_update(hash, &entry.length, 1u);
    services->sha256_update(hash, (const uint8_t *)name, strlen(name) + 1u);
    services->sha256_update(hash, at + sizeof entry, entry.length);
    state.log_next = entry.sequence + 1u;
    return sizeof entry + ((entry.length + 3u) & ~3u);
}

static void hash_log(void) {
    const struct boot_services *services = boot_services();
    struct sha256_context hash;
    int32_t length;
    bool first = true;
    services->sha256_init(&hash);
    while ((length = syscall3(SYS_LOG_READ, state.log_next, (uint32_t)piece, sizeof piece)) > 0) {
        if (first) {
            memcpy(&state.log_first, piece, sizeof state.log_first);
            first = false;
        }
        for (uint32_t at = 0; at < (uint32_t)length;) {
            at += hash_entry(services, &hash, piece + at);
        }
    }
    services->sha256_finish(&hash, state.log_digest);
}

static void look_at(uint32_t subject) {
    const struct task *task = &coffret_tasks[subject - 1u];
    state.subject = subject;
    state.secrecy = task->secrecy;
    state.integrity = task->integrity;
    memcpy(state.grants, task->grants, sizeof state.grants);
    for (uint8_t number = 0; number < coffret_counts.gates && state.gates < ATTEST_GATES; number++) {
        struct gate_info info;
        if (syscall3(SYS_GATE_INFO, number, (uint32_t)&info, 0) == 0 && info.task == subject - 1u) {
            state.gate[state.gates++] = (struct attest_gate){number, info.used, info.left_s};
        }
    }
}

static void look(uint32_t subject) {
    memset(&state, 0, sizeof state);
    state.uptime_s = (uint32_t)(syscall_time() / US_PER_S);
    hash_log();
#if COFFRET_HAS_SETTINGS
    hash_settings();
#endif
    state.enclaves = coffret_counts.enclaves < ATTEST_ENCLAVES ? coffret_counts.enclaves : ATTEST_ENCLAVES;
    for (uint32_t task = 0; task < state.enclaves; task++) {
        struct task_info info;
        if (syscall3(SYS_TASK_INFO, task, (uint32_t)&info, 0) == 0) {
            state.counts[task] = (struct attest_counts){info.faults, info.restarts};
        }
    }
    if (subject != 0) {
        look_at(subject);
    }
}

_Noreturn void attester_main(const struct task *self);

_Noreturn void attester_main(const struct task *self) {
    (void)self;
    for (;;) {
        int32_t asked = syscall3(SYS_EVIDENCE_NEXT, (uint32_t)nonce, sizeof nonce, 0);
        if (asked <= 0) {
            continue;
        }
        uint32_t subject = (uint32_t)asked >> 8;
        bool answered;
        if (COFFRET_HAS_PAIRWISE && subject >= EVIDENCE_ENROL) {
            look(0);
            answered = attest_answer_pairwise(nonce, nonce + NONCE_MAX / 2u, subject == EVIDENCE_ENROL, &state, send);
        } else {
            look(subject);
            answered = attest_answer(nonce, (size_t)asked & 0xFFu, &state, send);
        }
        // The end of the reply, or that there is none.
        syscall3(SYS_EVIDENCE_DONE, 0, 0, answered ? EVIDENCE_COMPLETE : EVIDENCE_FAILED);
    }
}
