// SPDX-License-Identifier: Apache-2.0
// The image's side of the gateways (gateways.h): what boot's services, the record store and the flash driver are in an
// image without a Secure world, with the same names.
#include "coffret/attest.h"
#include "coffret/board.h"
#include "coffret/boot_access.h"
#include "coffret/flash.h"
#include "coffret/reason.h"
#include "coffret/store.h"
#include "coffret/syscall.h"
#include "gateways.h"
#include "registers.h"

// Arguments in r0-r2, the answer in r0; Secure code clears the other registers it may change.
static int gateway(enum gateway number, uint32_t a, uint32_t b, uint32_t c) {
    return ((int (*)(uint32_t, uint32_t, uint32_t))GATEWAY_ADDRESS(number))(a, b, c);
}

// From a task, unprivileged: while another task is inside, let it finish.
static int task_gateway(enum gateway number, uint32_t a, uint32_t b, uint32_t c) {
    int answer;
    while ((answer = gateway(number, a, b, c)) == GATEWAY_BUSY) {
        syscall3(SYS_YIELD, 0, 0, 0);
    }
    return answer;
}

// ---- boot's services, for the manager ----

static void gateway_sha256_init(struct sha256_context *context) {
    task_gateway(GATEWAY_SHA256_INIT, (uint32_t)context, 0, 0);
}
static void gateway_sha256_update(struct sha256_context *context, const uint8_t *data, size_t length) {
    task_gateway(GATEWAY_SHA256_UPDATE, (uint32_t)context, (uint32_t)data, length);
}
static void gateway_sha256_finish(struct sha256_context *context, uint8_t digest[32]) {
    task_gateway(GATEWAY_SHA256_FINISH, (uint32_t)context, (uint32_t)digest, 0);
}
static int gateway_check_image(uint32_t slot, const struct image_limits *limits, struct image_info *info) {
    int reason = task_gateway(GATEWAY_CHECK_IMAGE, slot, (uint32_t)limits, (uint32_t)info);
    return reason < 0 ? REASON_FLASH : reason; // refused by the gateway itself: not a good image, for all we know
}
// No key is on this side.
static int refuse_to_sign(const uint8_t private_key[32], const uint8_t digest[32], uint8_t signature[64]) {
    (void)private_key;
    (void)digest;
    (void)signature;
    return -1;
}

const struct boot_services *boot_services(void) {
    static const struct boot_services table = {
        .magic = BOOT_SERVICES_MAGIC,
        .version = BOOT_SERVICES_VERSION,
        .sha256_init = gateway_sha256_init,
        .sha256_update = gateway_sha256_update,
        .sha256_finish = gateway_sha256_finish,
        .p256_sign = refuse_to_sign,
        .check_image = gateway_check_image,
    };
    return &table;
}

// ---- attestation, for the attester ----

bool attest_answer(const uint8_t *nonce, size_t nonce_length, const struct attest_state *state,
                   bool (*send)(const void *data, size_t length)) {
    uint8_t piece[96];
    int length = task_gateway(GATEWAY_ATTEST, (uint32_t)nonce, nonce_length, (uint32_t)state);
    for (int sent = 0; sent < length;) {
        int size = length - sent < (int)sizeof piece ? length - sent : (int)sizeof piece;
        if (task_gateway(GATEWAY_ATTEST_READ, (uint32_t)sent, (uint32_t)piece, (uint32_t)size) != 0 ||
            !send(piece, (size_t)size)) {
            return false;
        }
        sent += size;
    }
    return length > 0;
}

// `firmware/planning/fit.py` refuses an appliance that asks for it on such a board.
bool attest_answer_pairwise(const uint8_t nonce[32], const uint8_t verifier[32], bool enrol,
                            const struct attest_state *state, bool (*send)(const void *data, size_t length)) {
    (void)nonce;
    (void)verifier;
    (void)enrol;
    (void)state;
    (void)send;
    return false;
}

// ---- flash and records, for the monitor ----

// A refusal of the gateway: the bounds are the Secure world's, so this is what they look like from here.
static int flash_answer(int answer) { return answer <= GATEWAY_BUSY ? FLASH_RANGE : answer; }

int flash_erase(uint32_t offset, size_t length) {
    return flash_answer(gateway(GATEWAY_FLASH_ERASE, offset, length, 0));
}

int flash_program(uint32_t offset, const void *data, size_t length) {
    return flash_answer(gateway(GATEWAY_FLASH_PROGRAM, offset, (uint32_t)data, length));
}

void store_open(struct store *store, uint32_t offset, uint32_t bank_size) {
    // The store is open, on the other side; this one only has its place.
    *store = (struct store){.offset = offset, .bank_size = bank_size};
}

static int store_answer(int answer) { return answer <= GATEWAY_BUSY ? STORE_KEY : answer; }

int store_get(const struct store *store, uint8_t key, void *data, size_t capacity) {
    (void)store;
    return store_answer(gateway(GATEWAY_STORE_GET, key, (uint32_t)data, capacity));
}

int store_put(struct store *store, uint8_t key, const void *data, size_t length) {
    (void)store;
    return store_answer(gateway(GATEWAY_STORE_PUT, key, (uint32_t)data, length));
}

// ---- the watchdog, where its block is the Secure world's ----

#ifdef BOARD_WATCHDOG_SECURE
bool board_watchdog_start(uint32_t timeout_ms) {
    return timeout_ms != 0u && gateway(GATEWAY_WATCHDOG, timeout_ms, 0, 0) == 0;
}

void board_watchdog_feed(void) { (void)gateway(GATEWAY_WATCHDOG, 0, 0, 0); }

// Nobody feeds it any more.
void board_reset(void) {
    cpu_interrupts_disable();
    (void)gateway(GATEWAY_WATCHDOG, 1u, 0, 0);
    for (;;) {
        cpu_data_barrier();
    }
}
#endif
