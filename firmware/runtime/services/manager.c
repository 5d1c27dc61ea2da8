// SPDX-License-Identifier: Apache-2.0
// The manager: the SMP server of the running image, a native task without privileges. It reads and writes the
// management port, the other slot and a few records through the monitor, and verifies images with boot's own code.
#include "services/manager.h"

#include <string.h>

#include "board_config.h"
#include "coffret/boot_access.h"
#include "coffret/boot_state.h"
#include "coffret/reason.h"
#include "coffret/syscall.h"
#include "coffret/tables.h"
#include "image_config.h"
#include "smp/backend.h"
#include "smp/slot_image.h"

#define FOREVER 0xFFFFFFFFu
#define ENDORSEMENT_MAX 1024u

#define MANAGER_BSS __attribute__((section(".manager.bss")))

MANAGER_BSS static struct smp_server server;
MANAGER_BSS static struct identity identity;
MANAGER_BSS static uint8_t received[256];

static int32_t call(enum syscall number, const void *a, size_t b) {
    return syscall3(number, (uintptr_t)a, b, 0);
}

static int32_t store_read(enum store_key key, void *data, size_t capacity) {
    return syscall3(SYS_STORE_GET, key, (uintptr_t)data, capacity);
}

static int32_t store_write(enum store_key key, const void *data, size_t length) {
    return syscall3(SYS_STORE_PUT, key, (uintptr_t)data, length);
}

// ---- what the SMP server asks for (smp/backend.h) ----

void smp_port_write(const uint8_t *data, size_t length) {
    (void)call(SYS_PORT_WRITE, data, length); // waits in the monitor
}

const char *smp_mode(void) {
    return "application";
}

void smp_reset(bool recovery) {
    (void)syscall3(SYS_RESET, recovery, 0, 0);
}

uint8_t smp_running_slot(void) {
    return coffret_counts.slot;
}

void smp_boot_state(struct boot_state *state) {
    boot_state_decode(state, store_read(STORE_BOOT_STATE, state, sizeof *state));
}

void smp_limits(struct image_limits *limits) {
    memset(limits, 0, sizeof *limits);
    (void)store_read(STORE_SECURITY_COUNTER, &limits->minimum_counter, sizeof limits->minimum_counter);
    (void)store_read(STORE_KEY_FLOOR, &limits->key_floor, sizeof limits->key_floor);
    (void)store_read(STORE_LIFECYCLE, &limits->lifecycle, sizeof limits->lifecycle);
}

bool smp_mark_test(uint8_t slot) {
    (void)slot; // the call knows no other than the one that does not run
    return syscall3(SYS_MARK_TEST, 0, 0, 0) == 0;
}

int smp_confirm(uint8_t slot) {
    // Only what runs can be confirmed: a slot that never booted might never answer again.
    if (slot != BOOT_SLOT_NONE && slot != coffret_counts.slot) {
        return IMAGE_CONFIRM_DENIED;
    }
    return syscall3(SYS_CONFIRM, 0, 0, 0) == 0 ? (int)SMP_OK : (int)IMAGE_FLASH_WRITE;
}

bool smp_is_upgrade(const struct slot_image *image) {
    const struct slot_image *current = (const struct slot_image *)smp_slot_address(coffret_counts.slot);
    return slot_image_header(current, BOARD_SLOT_SIZE) != REASON_OK || slot_image_compare(image, current) > 0;
}

const uint8_t *smp_slot_address(uint8_t slot) {
    uint32_t offset = slot == 0 ? BOARD_SLOT_A_OFFSET : BOARD_SLOT_B_OFFSET;
    return (const uint8_t *)(uintptr_t)(BOARD_FLASH_BASE + offset);
}

const uint8_t *smp_slot_digest(uint8_t slot) {
    return slot_image_digest((const struct slot_image *)smp_slot_address(slot), BOARD_SLOT_SIZE);
}

int smp_slot_claim(uint8_t slot) {
    struct boot_state state;
    struct image_info info;
    struct image_limits limits;
    if (slot == coffret_counts.slot) {
        return IMAGE_NO_FREE_SLOT;
    }
    smp_boot_state(&state);
    if (state.pending == slot && (state.flags & BOOT_TRIED) == 0) {
        return IMAGE_ALREADY_PENDING;
    }
    // On trial: the confirmed image there is what the board falls back to, if it still is an image.
    smp_limits(&limits);
    if (state.active == slot && server.services->check_image(slot, &limits, &info) == REASON_OK) {
        return IMAGE_NO_FREE_SLOT;
    }
    return SMP_OK;
}

bool smp_slot_erase(uint8_t slot, uint32_t offset, uint32_t length) {
    (void)slot; // claimed: it is the other one
    return syscall3(SYS_FLASH_ERASE, offset, length, 0) == 0;
}

bool smp_slot_program(uint8_t slot, uint32_t offset, const uint8_t *data, uint32_t length) {
    (void)slot;
    return syscall3(SYS_FLASH_PROGRAM, offset, (uintptr_t)data, length) == 0;
}

void smp_mark_save(const struct upload_mark *mark) {
    (void)store_write(STORE_UPLOAD, mark, sizeof *mark); // lost, it costs the host some time
}

bool smp_mark_load(struct upload_mark *mark) {
    return store_read(STORE_UPLOAD, mark, sizeof *mark) == (int32_t)sizeof *mark;
}

void smp_refused(uint8_t slot, uint8_t reason) {
    char text[] = "image for slot A refused: reason 00";
    text[15] = (char)('A' + slot);
    text[sizeof text - 3] = (char)('0' + reason / 10u % 10u);
    text[sizeof text - 2] = (char)('0' + reason % 10u);
    (void)call(SYS_LOG, text, sizeof text - 1);
}

const struct identity *smp_identity_facts(void) {
    memset(&identity, 0, sizeof identity);
    (void)call(SYS_IDENTITY, &identity, 0);
    return &identity;
}

// ---- group 64: evidence ----

static uint16_t load16(const uint8_t *bytes) {
    return (uint16_t)(bytes[0] | bytes[1] << 8);
}

// 1 + the number of the enclave with this name; 0: there is none.
static uint32_t enclave_named(const struct cbor_value *name) {
    for (uint32_t task = 0; task < coffret_counts.enclaves; task++) {
        if (strlen(coffret_tasks[task].name) == name->length &&
            memcmp(coffret_tasks[task].name, name->data, name->length) == 0) {
            return task + 1u;
        }
    }
    return 0;
}

static int ask_attester(const uint8_t *nonce, size_t nonce_length, uint32_t subject, struct cbor_writer *reply) {
    // The monitor copies the nonce before anybody writes the reply, so one buffer serves both.
    uint8_t *buffer = server.request;
    struct evidence_request asked = {.nonce = nonce,
                                     .nonce_length = nonce_length,
                                     .reply = buffer,
                                     .capacity = sizeof server.request,
                                     .subject = subject};
    int32_t length = call(SYS_EVIDENCE, &asked, 0);
    if (length == ERR_BUSY) {
        return SMP_BUSY;
    }
    if (length < 4 || length > (int32_t)sizeof server.request) {
        return SMP_UNKNOWN;
    }
    uint32_t token = load16(buffer);
    uint32_t certificate = load16(buffer + 2);
    if (token + certificate != (uint32_t)length - 4u) {
        return SMP_UNKNOWN;
    }
    cbor_write_map(reply, 2);
    smp_put_bytes(reply, "token", buffer + 4, token);
    smp_put_bytes(reply, "cert", buffer + 4 + token, certificate);
    return SMP_OK;
}

static int evidence(struct smp_server *unused, const struct cbor_value *nonce, struct cbor_writer *reply) {
    (void)unused; // there is one: `server`
    const struct cbor_value *enclave = &nonce[1];
    uint32_t subject = enclave->present ? enclave_named(enclave) : 0;
    if (enclave->present && subject == 0) {
        return SMP_NOT_FOUND;
    }
    if (!nonce->present || (nonce->length != 32 && nonce->length != 48 && nonce->length != 64)) {
        return SMP_INVALID;
    }
    return ask_attester(nonce->data, nonce->length, subject, reply);
}

// A command of its own, so that an image without it refuses instead of naming its device.
#if COFFRET_HAS_PAIRWISE
static int pairwise(struct smp_server *unused, const struct cbor_value *given, struct cbor_writer *reply) {
    (void)unused;
    const struct cbor_value *nonce = &given[0], *verifier = &given[1], *enrol = &given[2];
    uint8_t asked[64];
    if (!nonce->present || nonce->length != 32 || !verifier->present || verifier->length != 32) {
        return SMP_INVALID;
    }
    memcpy(asked, nonce->data, 32);
    memcpy(asked + 32, verifier->data, 32);
    return ask_attester(asked, sizeof asked, enrol->present && enrol->value != 0 ? EVIDENCE_ENROL : EVIDENCE_PAIRWISE, reply);
}
#endif

// ---- group 65: endorsement ----

static int read_endorsement(struct smp_server *unused, const struct cbor_value *given, struct cbor_writer *reply) {
    (void)unused;
    (void)given;
    int32_t length = store_read(STORE_ENDORSEMENT, server.request, sizeof server.request);
    if (length < 0) {
        return length == ERR_NOT_FOUND ? SMP_NOT_FOUND : SMP_UNKNOWN;
    }
    cbor_write_map(reply, 1);
    smp_put_bytes(reply, "endorsement", server.request, (size_t)length);
    return SMP_OK;
}

static bool already_secured(void) {
    uint16_t lifecycle;
    return store_read(STORE_LIFECYCLE, &lifecycle, sizeof lifecycle) == (int32_t)sizeof lifecycle &&
           lifecycle == LIFECYCLE_SECURED;
}

static int write_endorsement(struct smp_server *unused, const struct cbor_value *given, struct cbor_writer *reply) {
    static const uint16_t secured = LIFECYCLE_SECURED;
    (void)unused;
    if (!given->present || given->length == 0 || given->length > ENDORSEMENT_MAX) {
        return SMP_INVALID;
    }
    // In this order a cut in between leaves a board that can be endorsed again.
    if (store_write(STORE_ENDORSEMENT, given->data, given->length) != 0 ||
        (!already_secured() && store_write(STORE_LIFECYCLE, &secured, sizeof secured) != 0)) {
        return SMP_UNKNOWN;
    }
    cbor_write_map(reply, 0);
    return SMP_OK;
}

// ---- group 65: settings, in an image where an enclave reads them ----

#if COFFRET_HAS_SETTINGS
static int read_settings(struct smp_server *unused, const struct cbor_value *given, struct cbor_writer *reply) {
    (void)unused;
    (void)given;
    int32_t length = store_read(STORE_BOARD_SETTINGS, server.request, sizeof server.request);
    if (length < 0 && length != ERR_NOT_FOUND) {
        return SMP_UNKNOWN;
    }
    cbor_write_map(reply, 1);
    cbor_write_text(reply, "settings");
    cbor_write_text_length(reply, (const char *)server.request, length < 0 ? 0u : (size_t)length);
    return SMP_OK;
}

static int write_settings(struct smp_server *unused, const struct cbor_value *given, struct cbor_writer *reply) {
    (void)unused;
    if (!given->present || given->length > SETTINGS_MAX) {
        return SMP_INVALID;
    }
    int32_t error = store_write(STORE_BOARD_SETTINGS, given->data, given->length);
    if (error != 0) {
        return error == ERR_DENIED ? SMP_DENIED : SMP_UNKNOWN; // secured: they stay as they are
    }
    cbor_write_map(reply, 0);
    return SMP_OK;
}
#endif

// ---- group 65: the end of the device ----

// Boot judges it at the next start; nothing happens before.
static int decommission(struct smp_server *unused, const struct cbor_value *given, struct cbor_writer *reply) {
    (void)unused;
    if (!given->present || given->length == 0 || given->length > STORE_ORDER_MAX) {
        return SMP_INVALID;
    }
    if (store_write(STORE_ORDER, given->data, given->length) != 0) {
        return SMP_UNKNOWN;
    }
    cbor_write_map(reply, 0);
    return SMP_OK;
}

const struct smp_command smp_commands[] = {
    SMP_COMMANDS,
    {SMP_COMMAND(SMP_WRITE, GROUP_ATTESTATION, 0), CBOR_BYTES("nonce") CBOR_TEXT("enclave"), evidence},
#if COFFRET_HAS_PAIRWISE
    {SMP_COMMAND(SMP_WRITE, GROUP_ATTESTATION, 1), CBOR_BYTES("nonce") CBOR_BYTES("verifier") CBOR_BOOL("enrol"), pairwise},
#endif
    {SMP_COMMAND(SMP_READ, GROUP_PROVISIONING, 1), SMP_NO_KEYS, read_endorsement},
    {SMP_COMMAND(SMP_WRITE, GROUP_PROVISIONING, 1), CBOR_BYTES("endorsement"), write_endorsement},
    {SMP_COMMAND(SMP_WRITE, GROUP_PROVISIONING, 3), CBOR_BYTES("order"), decommission},
#if COFFRET_HAS_SETTINGS
    {SMP_COMMAND(SMP_READ, GROUP_PROVISIONING, 4), SMP_NO_KEYS, read_settings},
    {SMP_COMMAND(SMP_WRITE, GROUP_PROVISIONING, 4), CBOR_TEXT("settings"), write_settings},
#endif
    {SMP_COMMAND(SMP_READ, GROUP_LOG, 0), CBOR_UINT("from"), manager_log},
    {SMP_COMMAND(SMP_READ, GROUP_ENCLAVES, 0), SMP_NO_KEYS, manager_enclaves},
    {.handler = NULL},
};

void manager_main(const struct task *self) {
    (void)self;
    smp_server_start(&server, boot_services());
    for (;;) {
        int32_t length = syscall3(SYS_PORT_READ, (uintptr_t)received, sizeof received, FOREVER);
        if (length < 0) {
            (void)syscall3(SYS_EXIT, 0, 0, 0); // it makes no sense to go on; policy starts it afresh
        }
        smp_server_feed(&server, received, (size_t)length);
    }
}
