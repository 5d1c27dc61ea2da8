// SPDX-License-Identifier: Apache-2.0
// The running image (slot A) writes an update: the SMP upload and the monitor's storage calls, and boot's next start, over
// one flash whose power can be cut at any step. What stands between the two on the board, the system call, only copies.
#include "simulated_choice.c"

#include "coffret/board.h"
#include "coffret/boot_services.h"
#include "coffret/crypto.h"
#include "monitor.h"
#include "smp/backend.h"
#include "smp/server.h"
#include "smp/slot_image.h"

#define RUNNING 0u
#define OTHER 1u

const struct system_counts coffret_counts = {.slot = RUNNING};
const struct handoff __handoff = {.security_counter = 1}; // what boot measured of the image that runs

static const struct boot_services services = {.sha256_init = sha256_init,
                                              .sha256_update = sha256_update,
                                              .sha256_finish = sha256_finish,
                                              .check_image = boot_check_image};
static struct smp_server server;

void board_port_flush(void) {}
void board_reset(void) { longjmp(simulated.off, 1); }

// ---- smp/backend.h, as services/manager.c does it by system calls ----

void smp_port_write(const uint8_t *data, size_t length) { (void)data, (void)length; }
const char *smp_mode(void) { return "application"; }
void smp_reset(bool recovery) { (void)storage_reset(recovery); }
uint8_t smp_running_slot(void) { return RUNNING; }
void smp_boot_state(struct boot_state *state) {
    boot_state_decode(state, storage_get(STORE_BOOT_STATE, state, sizeof *state));
}
void smp_limits(struct image_limits *limits) {
    memset(limits, 0, sizeof *limits);
    (void)storage_get(STORE_SECURITY_COUNTER, &limits->minimum_counter, sizeof limits->minimum_counter);
    (void)storage_get(STORE_KEY_FLOOR, &limits->key_floor, sizeof limits->key_floor);
    (void)storage_get(STORE_LIFECYCLE, &limits->lifecycle, sizeof limits->lifecycle);
}
bool smp_mark_test(uint8_t slot) { return (void)slot, storage_mark_test() == 0; }
int smp_confirm(uint8_t slot) { return (void)slot, storage_confirm() == 0 ? (int)SMP_OK : (int)IMAGE_FLASH_WRITE; }
bool smp_is_upgrade(const struct slot_image *image) { return (void)image, true; }
const uint8_t *smp_slot_address(uint8_t slot) {
    return flash_address(slot == 0 ? BOARD_SLOT_A_OFFSET : BOARD_SLOT_B_OFFSET);
}
const uint8_t *smp_slot_digest(uint8_t slot) {
    return slot_image_digest((const struct slot_image *)smp_slot_address(slot), BOARD_SLOT_SIZE);
}
int smp_slot_claim(uint8_t slot) { return slot == RUNNING ? (int)IMAGE_NO_FREE_SLOT : (int)SMP_OK; }
bool smp_slot_erase(uint8_t slot, uint32_t offset, uint32_t length) {
    return (void)slot, storage_erase(offset, length) == 0;
}
bool smp_slot_program(uint8_t slot, uint32_t offset, const uint8_t *data, uint32_t length) {
    return (void)slot, storage_program(offset, data, length) == 0;
}
void smp_mark_save(const struct upload_mark *mark) { (void)storage_put(STORE_UPLOAD, mark, sizeof *mark); }
bool smp_mark_load(struct upload_mark *mark) {
    return storage_get(STORE_UPLOAD, mark, sizeof *mark) == (int32_t)sizeof *mark;
}
void smp_refused(uint8_t slot, uint8_t reason) { (void)slot, (void)reason; }
const struct identity *smp_identity_facts(void) { return NULL; }
const struct smp_command smp_commands[] = {SMP_COMMANDS, {.handler = NULL}};

// ---- what a test asks for ----

// Uploads `image` for the other slot in pieces of `piece` bytes and marks it for its trial. `resumed`: the offset that
// the device named after the first packet. 0, POWER_CUT, or an error.
int simulated_update(const uint8_t *image, uint32_t length, uint32_t piece, uint32_t *resumed);
int simulated_update(const uint8_t *image, uint32_t length, uint32_t piece, uint32_t *resumed) {
    uint8_t sha[32];
    struct sha256_context context;
    sha256_init(&context);
    sha256_update(&context, image, length);
    sha256_finish(&context, sha);
    if (setjmp(simulated.off) != 0) {
        return POWER_CUT;
    }
    storage_start();
    memset(&server, 0, sizeof server);
    server.services = &services;
    for (uint32_t offset = 0; offset < length; offset = server.upload.now.offset) {
        bool first = offset == 0;
        struct cbor_value fields[6] = {
            {.present = true, .value = offset},
            {.present = true, .length = length - offset < piece ? length - offset : piece, .data = image + offset},
            {.present = first, .value = length},
            {.present = first, .length = sizeof sha, .data = sha}};
        struct cbor_writer reply;
        cbor_writer_start(&reply, server.reply, sizeof server.reply);
        int error = smp_image_upload(&server, fields, &reply);
        if (error != SMP_OK) {
            return error;
        }
        if (first) {
            *resumed = server.upload.now.offset;
        }
    }
    return smp_mark_test(OTHER) ? 0 : -1;
}

// A record that a service writes, through the monitor.
int simulated_record(uint32_t key, const void *data, uint32_t length);
int simulated_record(uint32_t key, const void *data, uint32_t length) {
    if (setjmp(simulated.off) != 0) {
        return POWER_CUT;
    }
    storage_start();
    return storage_put(key, data, length);
}
