// SPDX-License-Identifier: Apache-2.0
// The functions behind the gateways (gateways.h has their rules). They run in thread mode for a task, and can then be
// interrupted by the Non-secure world at any time; or in handler mode for the monitor, which waits.
#include <string.h>

#include "coffret/board.h"
#include "coffret/boot_state.h"
#include "coffret/crypto.h"
#include "coffret/flash.h"
#include "coffret/reason.h"
#include "coffret/syscall.h"
#include "gateways.h"
#include "secure.h"

#define GATEWAY __attribute__((cmse_nonsecure_entry, used))

#define ENDORSEMENT_MAX 1024u
#define SETTINGS_LAST 31u
#define SETTING_MAX 128u // sixteen of them leave room for boot's own records, whatever they hold
#define NO_SLOT 0xFFu

// ---- who calls, and with what ----

static bool caller_is_privileged(void) {
    return cpu_exception() != 0u || (non_secure_control() & CONTROL_UNPRIVILEGED) == 0u;
}

// On a part without a Secure world a task needs an executable region over boot to call it. Here the processor would let
// anybody jump to a gateway, so the same region is asked for.
static bool caller_is_granted(void) {
    return caller_is_privileged() || cmse_TTAT((void *)GATEWAYS_BASE).flags.read_ok != 0u;
}

// The checks of TT hold for the caller's state at this moment; the monitor may run in between, but gives the calling
// task the same map whenever it runs on.
static bool may_read(const void *data, size_t length) {
    return length == 0u || cmse_check_address_range((void *)(uintptr_t)data, length, CMSE_NONSECURE | CMSE_MPU_READ) != NULL;
}
static bool may_write(void *data, size_t length) {
    return length == 0u || cmse_check_address_range(data, length, CMSE_NONSECURE | CMSE_MPU_READWRITE) != NULL;
}

// One task at a time: there is one stack, and one working memory.
static int enter(void) {
    if (!caller_is_granted()) {
        return GATEWAY_DENIED;
    }
    uint32_t mask = cpu_interrupts_save();
    bool busy = secure()->busy != 0u;
    secure()->busy = 1u;
    cpu_interrupts_restore(mask);
    return busy ? GATEWAY_BUSY : 0;
}
static int leave(int result) {
    secure()->busy = 0u;
    return result;
}

GATEWAY int gateway_version(void);
GATEWAY int gateway_sha256_init(struct sha256_context *context);
GATEWAY int gateway_sha256_update(struct sha256_context *context, const uint8_t *data, size_t length);
GATEWAY int gateway_sha256_finish(struct sha256_context *context, uint8_t *digest);
GATEWAY int gateway_check_image(uint32_t slot, const struct image_limits *limits, struct image_info *info);
GATEWAY int gateway_attest(const uint8_t *nonce, size_t length, const struct attest_state *now);
GATEWAY int gateway_attest_read(uint32_t offset, uint8_t *data, size_t length);
GATEWAY int gateway_flash_erase(uint32_t offset, size_t length);
GATEWAY int gateway_flash_program(uint32_t offset, const void *data, size_t length);
GATEWAY int gateway_store_get(uint32_t key, void *data, size_t capacity);
GATEWAY int gateway_store_put(uint32_t key, const void *data, size_t length);

int gateway_version(void) { return GATEWAYS_VERSION; }

// ---- SHA-256 and the check of an image: no secrets, here only so that the crypto exists once ----

// The context is the caller's and may hold anything. A copy of it is used: nobody can change that meanwhile, and what
// it counts is bounded by its own masks.
static int on_copy(struct sha256_context *context, const uint8_t *data, size_t length, uint8_t *digest) {
    struct sha256_context copy = *context;
    if (digest != NULL) {
        uint8_t result[SHA256_SIZE];
        sha256_finish(&copy, result);
        memcpy(digest, result, sizeof result);
    } else {
        sha256_update(&copy, data, length);
    }
    *context = copy;
    return 0;
}

int gateway_sha256_init(struct sha256_context *context) {
    int error = enter();
    if (error != 0) {
        return error;
    }
    if (!may_write(context, sizeof *context)) {
        return leave(GATEWAY_POINTER);
    }
    struct sha256_context fresh;
    sha256_init(&fresh);
    *context = fresh;
    return leave(0);
}

int gateway_sha256_update(struct sha256_context *context, const uint8_t *data, size_t length) {
    int error = enter();
    if (error != 0) {
        return error;
    }
    if (!may_write(context, sizeof *context) || !may_read(data, length)) {
        return leave(GATEWAY_POINTER);
    }
    return leave(on_copy(context, data, length, NULL));
}

int gateway_sha256_finish(struct sha256_context *context, uint8_t *digest) {
    int error = enter();
    if (error != 0) {
        return error;
    }
    if (!may_write(context, sizeof *context) || !may_write(digest, SHA256_SIZE)) {
        return leave(GATEWAY_POINTER);
    }
    return leave(on_copy(context, NULL, 0, digest));
}

int gateway_check_image(uint32_t slot, const struct image_limits *limits, struct image_info *info) {
    int error = enter();
    if (error != 0) {
        return error;
    }
    if (!may_read(limits, sizeof *limits) || !may_write(info, sizeof *info)) {
        return leave(GATEWAY_POINTER);
    }
    struct image_limits asked = *limits;
    struct image_info found;
    int reason = boot_check_image(slot, &asked, &found);
    *info = found;
    return leave(reason);
}

// ---- attestation: the caller chooses the nonce, and says how the image is at this moment ----

static bool keep_reply(const void *data, size_t length) {
    struct secure_state *state = secure();
    if (length > SECURE_REPLY_SIZE - state->reply_length) {
        return false;
    }
    memcpy(state->reply + state->reply_length, data, length);
    state->reply_length += (uint32_t)length;
    return true;
}

static int make_reply(const uint8_t *nonce, size_t length) {
    struct secure_state *state = secure();
    state->reply_length = 0;
    state->maker.facts = &state->facts;
    state->maker.components = state->components;
    state->maker.component_count = state->component_count;
    state->maker.appliance_version = state->appliance_version;
    state->maker.state = &state->now;
    state->maker.services = boot_own_services();
    state->maker.send = keep_reply;
    if (!token_make(&state->maker, nonce, length)) {
        state->reply_length = 0;
        return GATEWAY_FAILED;
    }
    return (int)state->reply_length;
}

int gateway_attest(const uint8_t *nonce, size_t length, const struct attest_state *now) {
    uint8_t copy[64];
    int error = enter();
    if (error != 0) {
        return error;
    }
    if ((length != 32u && length != 48u && length != 64u) || !may_read(nonce, length) || !may_read(now, sizeof *now)) {
        return leave(GATEWAY_POINTER);
    }
    memcpy(copy, nonce, length);
    secure()->now = *now; // a copy: nobody can change that meanwhile, and token_make checks its counts
    return leave(make_reply(copy, length));
}

int gateway_attest_read(uint32_t offset, uint8_t *data, size_t length) {
    int error = enter();
    if (error != 0) {
        return error;
    }
    const struct secure_state *state = secure();
    if (offset > state->reply_length || length > state->reply_length - offset || !may_write(data, length)) {
        return leave(GATEWAY_POINTER);
    }
    memcpy(data, state->reply + offset, length);
    return leave(0);
}

// ---- flash and records, for the monitor ----

static bool in_other_slot(uint32_t offset, size_t length) {
    uint32_t start = secure()->facts.slot == 0u ? BOARD_SLOT_B_OFFSET : BOARD_SLOT_A_OFFSET;
    return offset >= start && length <= BOARD_SLOT_SIZE && offset - start <= BOARD_SLOT_SIZE - length;
}

int gateway_flash_erase(uint32_t offset, size_t length) {
    if (!caller_is_privileged() || !in_other_slot(offset, length)) {
        return GATEWAY_DENIED;
    }
    return flash_erase(offset, length);
}

int gateway_flash_program(uint32_t offset, const void *data, size_t length) {
    if (!caller_is_privileged() || !in_other_slot(offset, length)) {
        return GATEWAY_DENIED;
    }
    return may_read(data, length) ? flash_program(offset, data, length) : GATEWAY_POINTER;
}

static bool is_setting(uint32_t key) { return key >= STORE_SERVICES && key <= SETTINGS_LAST; }

int gateway_store_get(uint32_t key, void *data, size_t capacity) {
    // The image MAC is nobody's but boot's; so is what nobody knows.
    bool readable = (key >= STORE_BOOT_STATE && key <= STORE_BOOT_COUNT) || key == STORE_BUDGETS || key == STORE_KEY_FLOOR || is_setting(key);
    if (!caller_is_privileged() || !readable) {
        return GATEWAY_DENIED;
    }
    if (!may_write(data, capacity)) {
        return GATEWAY_POINTER;
    }
    return store_get(&secure()->store, (uint8_t)key, data, capacity);
}

// Which records the Non-secure world may write, and what. A monitor that was taken over can choose among the images that
// boot would start anyway, and no more: it can neither lower the counter, nor raise it so far that no image is left.
static bool may_put(uint32_t key, const uint8_t *data, size_t length) {
    uint32_t counter;
    uint8_t lifecycle[2];
    switch (key) {
        case STORE_BOOT_STATE:
            return length == sizeof(struct boot_state);
        case STORE_SECURITY_COUNTER:
            if (length != sizeof counter) {
                return false;
            }
            memcpy(&counter, data, sizeof counter);
            return counter == secure()->facts.security_counter && counter >= security_counter_load(&secure()->store);
        case STORE_LIFECYCLE: // once, and nothing leads back
            return length == sizeof lifecycle && data[0] == (LIFECYCLE_SECURED & 0xFFu) && data[1] == LIFECYCLE_SECURED >> 8 &&
                   (store_get(&secure()->store, STORE_LIFECYCLE, lifecycle, sizeof lifecycle) != (int)sizeof lifecycle ||
                    lifecycle[1] < data[1]);
        case STORE_ENDORSEMENT:
            return length <= ENDORSEMENT_MAX;
        case STORE_BUDGETS:
            return length <= STORE_BUDGETS_MAX;
        case STORE_BOARD_SETTINGS: // fixed once the board is secured
            return length <= SETTINGS_MAX && store_get(&secure()->store, STORE_LIFECYCLE, lifecycle, sizeof lifecycle) !=
                                                 (int)sizeof lifecycle;
        case STORE_ORDER:
            return length <= STORE_ORDER_MAX; // boot looks at who signed it
        default:
            return is_setting(key) && length <= SETTING_MAX;
    }
}

int gateway_store_put(uint32_t key, const void *data, size_t length) {
    uint8_t copy[ENDORSEMENT_MAX];
    if (!caller_is_privileged() || length > sizeof copy) {
        return GATEWAY_DENIED;
    }
    if (!may_read(data, length)) {
        return GATEWAY_POINTER;
    }
    memcpy(copy, data, length);
    return may_put(key, copy, length) ? store_put(&secure()->store, (uint8_t)key, copy, length) : GATEWAY_DENIED;
}

// ---- the watchdog, where its block is not the image's to have ----

#ifdef BOARD_WATCHDOG_SECURE
GATEWAY int gateway_watchdog(uint32_t timeout_ms);

int gateway_watchdog(uint32_t timeout_ms) {
    if (!caller_is_privileged()) {
        return GATEWAY_DENIED;
    }
    if (timeout_ms == 0u) {
        board_watchdog_feed();
        return 0;
    }
    return board_watchdog_start(timeout_ms) ? 0 : GATEWAY_FAILED;
}
#endif
