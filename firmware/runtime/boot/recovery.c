// SPDX-License-Identifier: Apache-2.0
// Serial recovery: the SMP server over the polled management port, uploads straight to flash.
#include "coffret/recovery.h"

#include "board_config.h"
#include "boot.h"
#include "coffret/board.h"
#include "coffret/boot_state.h"
#include "coffret/flash.h"
#include "smp/backend.h"
#include "smp/server.h"

static const struct recovery_facts *recovery;
static struct smp_server server;

void smp_port_write(const uint8_t *data, size_t length) {
    (void)board_port_write(data, length); // polled: all of it
}

const char *smp_mode(void) {
    return "recovery";
}

void smp_reset(bool again) {
    // Not stored? Then the board boots normally: better than not at all.
    (void)boot_state_set_recovery(recovery->store, again);
    board_port_flush();
    board_reset();
}

uint8_t smp_running_slot(void) {
    return BOOT_SLOT_NONE;
}

void smp_boot_state(struct boot_state *state) {
    boot_state_load(recovery->store, state);
}

void smp_limits(struct image_limits *limits) {
    load_limits(recovery->store, limits);
}

bool smp_mark_test(uint8_t slot) {
    return boot_state_mark_test(recovery->store, slot) == 0;
}

int smp_confirm(uint8_t slot) {
    (void)slot; // it never ran: it might never answer again
    return IMAGE_CONFIRM_DENIED;
}

bool smp_is_upgrade(const struct slot_image *image) {
    (void)image;
    return true;
}

const uint8_t *smp_slot_address(uint8_t slot) {
    return flash_address(slot_offset(slot));
}

const uint8_t *smp_slot_digest(uint8_t slot) {
    return image_digest(slot);
}

// Either slot may be written here. One that was waiting for its trial is not any more: what will be in it
// is not what was marked.
int smp_slot_claim(uint8_t slot) {
    struct boot_state state;
    boot_state_load(recovery->store, &state);
    if (state.pending == slot) {
        state.pending = BOOT_SLOT_NONE;
        if (boot_state_save(recovery->store, &state) != 0) {
            return IMAGE_FLASH_WRITE;
        }
    }
    return SMP_OK;
}

bool smp_slot_erase(uint8_t slot, uint32_t offset, uint32_t length) {
    return flash_erase(slot_offset(slot) + offset, length) == 0;
}

bool smp_slot_program(uint8_t slot, uint32_t offset, const uint8_t *data, uint32_t length) {
    return flash_program(slot_offset(slot) + offset, data, length) == 0;
}

void smp_mark_save(const struct upload_mark *mark) {
    (void)store_put(recovery->store, STORE_UPLOAD, mark, sizeof *mark); // lost, it costs the host some time
}

bool smp_mark_load(struct upload_mark *mark) {
    return store_get(recovery->store, STORE_UPLOAD, mark, sizeof *mark) == (int)sizeof *mark;
}

void smp_refused(uint8_t slot, uint8_t reason) {
    (void)slot;
    (void)reason; // there is no log here; the host asks 65/2
}

const struct identity *smp_identity_facts(void) {
    return recovery->identity;
}

const struct smp_command smp_commands[] = {SMP_COMMANDS, {.handler = NULL}};

void recovery_run(const struct recovery_facts *facts) {
    recovery = facts;
    smp_server_start(&server, facts->services);
    for (;;) {
        uint8_t bytes[16];
        size_t count = board_port_read(bytes, sizeof bytes);
        smp_server_feed(&server, bytes, count);
        board_watchdog_feed();
    }
}
