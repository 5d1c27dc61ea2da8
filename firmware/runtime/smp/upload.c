// SPDX-License-Identifier: Apache-2.0
// SMP image upload: chunks go straight to flash, erased block by block just ahead of them. Which slot is the
// image's own statement (its ROM-fixed load address), so a file for the other slot cannot land in the wrong one.
#include <string.h>

#include "board_config.h"
#include "coffret/reason.h"
#include "smp/backend.h"
#include "smp/server.h"
#include "smp/slot_image.h"

enum field { FIELD_OFFSET, FIELD_DATA, FIELD_LENGTH, FIELD_SHA, FIELD_IMAGE, FIELD_UPGRADE };

const struct cbor_key smp_image_upload_keys[6] = {
    [FIELD_OFFSET] = {"off", CBOR_UINT},  [FIELD_DATA] = {"data", CBOR_BYTES},
    [FIELD_LENGTH] = {"len", CBOR_UINT},  [FIELD_SHA] = {"sha", CBOR_BYTES},
    [FIELD_IMAGE] = {"image", CBOR_UINT}, [FIELD_UPGRADE] = {"upgrade", CBOR_BOOL}};

static int reply_offset(const struct smp_upload *upload, struct cbor_writer *reply) {
    cbor_write_map(reply, 1);
    smp_put_uint(reply, "off", upload->open ? upload->offset : 0);
    return SMP_OK;
}

static bool same_upload(const struct smp_upload *upload, const struct cbor_value *fields) {
    const struct cbor_value *sha = &fields[FIELD_SHA];
    return upload->open && upload->hashed && sha->present && sha->length == sizeof upload->sha &&
           fields[FIELD_LENGTH].value == upload->length &&
           memcmp(sha->data, upload->sha, sizeof upload->sha) == 0;
}

// A mark is written so often; whole erase blocks, so that behind a mark everything is erased anew.
#define MARK_EVERY (BOARD_FLASH_ERASE_SIZE * ((0x4000u + BOARD_FLASH_ERASE_SIZE - 1u) / BOARD_FLASH_ERASE_SIZE))

static void save_mark(const struct smp_upload *upload, uint32_t offset) {
    struct upload_mark mark = {.length = upload->length, .offset = offset, .slot = upload->slot};
    if (upload->hashed && upload->length > MARK_EVERY) {
        memcpy(mark.sha, upload->sha, sizeof mark.sha);
        smp_mark_save(&mark);
    }
}

// The same file as before a reset: on from the mark.
static void resume(struct smp_server *server) {
    struct smp_upload *upload = &server->upload;
    struct upload_mark mark;
    if (!upload->hashed || !smp_mark_load(&mark) || mark.slot != upload->slot || mark.length != upload->length ||
        memcmp(mark.sha, upload->sha, sizeof mark.sha) != 0 || mark.offset >= upload->length ||
        mark.offset % MARK_EVERY != 0) {
        return;
    }
    upload->offset = mark.offset;
    upload->erased = mark.offset;
    server->services->sha256_update(&upload->hash, smp_slot_address(upload->slot), mark.offset);
}

// The first packet: refuse here what can be known to be refused in the end.
static int begin(struct smp_server *server, const struct cbor_value *fields) {
    struct smp_upload *upload = &server->upload;
    const struct cbor_value *data = &fields[FIELD_DATA];
    const struct cbor_value *sha = &fields[FIELD_SHA];
    uint32_t length = fields[FIELD_LENGTH].value;
    struct slot_image image;
    // There is one image. 1 is what `smpmgr --slot 1` sends; the image itself names its slot.
    if (fields[FIELD_IMAGE].present && fields[FIELD_IMAGE].value > 1) {
        return IMAGE_INVALID_SLOT;
    }
    if (!fields[FIELD_LENGTH].present) {
        return IMAGE_INVALID_LENGTH;
    }
    if (sha->present && sha->length != sizeof upload->sha) {
        return IMAGE_INVALID_HASH;
    }
    if (data->length < IMAGE_HEADER_SIZE) {
        return IMAGE_INVALID_HEADER;
    }
    uint8_t reason = slot_image_header(data->data, length, &image);
    uint8_t slot = 0;
    if (reason == REASON_TOO_LARGE) {
        reason = REASON_HEADER; // it says more than the file holds
    }
    if (reason == REASON_OK) {
        if (image.load_address == BOARD_FLASH_BASE + BOARD_SLOT_B_OFFSET) {
            slot = 1;
        } else if (image.load_address != BOARD_FLASH_BASE + BOARD_SLOT_A_OFFSET) {
            reason = REASON_SLOT_ADDRESS;
        }
        if (length > BOARD_SLOT_SIZE) {
            reason = REASON_TOO_LARGE;
        }
        if (slot == smp_running_slot()) {
            reason = REASON_SLOT_ADDRESS; // built for the slot that runs: it cannot be overwritten
        }
    }
    if (reason == REASON_OK) {
        struct image_limits limits;
        smp_limits(&limits);
        reason = slot_image_hint(data->data, data->length, limits.minimum_counter);
    }
    if (reason != REASON_OK) {
        return smp_image_refuse(server, slot, reason);
    }
    if (fields[FIELD_UPGRADE].present && fields[FIELD_UPGRADE].value != 0 && !smp_is_upgrade(&image)) {
        return IMAGE_CURRENT_NEWER;
    }
    int error = smp_slot_claim(slot);
    if (error != SMP_OK) {
        return error;
    }
    memset(upload, 0, sizeof *upload);
    upload->open = true;
    upload->slot = slot;
    upload->length = length;
    upload->hashed = sha->present;
    if (sha->present) {
        memcpy(upload->sha, sha->data, sizeof upload->sha);
    }
    server->services->sha256_init(&upload->hash);
    resume(server);
    return SMP_OK;
}

// Erases ahead and programs. What is left of the last program unit is filled with 0xFF.
static int program(struct smp_upload *upload, const uint8_t *data, uint32_t length) {
    while (upload->erased < upload->offset + length) {
        if (!smp_slot_erase(upload->slot, upload->erased, BOARD_FLASH_ERASE_SIZE)) {
            return IMAGE_FLASH_ERASE;
        }
        upload->erased += BOARD_FLASH_ERASE_SIZE;
    }
    uint32_t rest = length % BOARD_FLASH_PROGRAM_SIZE;
    uint32_t whole = length - rest;
    if (whole != 0 && !smp_slot_program(upload->slot, upload->offset, data, whole)) {
        return IMAGE_FLASH_WRITE;
    }
    if (rest != 0) {
        uint8_t unit[BOARD_FLASH_PROGRAM_SIZE];
        memset(unit, 0xFF, sizeof unit);
        memcpy(unit, data + whole, rest);
        if (!smp_slot_program(upload->slot, upload->offset + whole, unit, sizeof unit)) {
            return IMAGE_FLASH_WRITE;
        }
    }
    return SMP_OK;
}

static int finish(struct smp_server *server, struct cbor_writer *reply) {
    struct smp_upload *upload = &server->upload;
    uint8_t digest[32];
    upload->open = false;
    save_mark(upload, 0); // finished, or wrong from the start: not to be gone on with
    server->services->sha256_finish(&upload->hash, digest);
    bool match = memcmp(digest, upload->sha, sizeof digest) == 0;
    if (match || !upload->hashed) {
        int error = smp_image_check(server, upload->slot);
        if (error != SMP_OK) {
            return error;
        }
    }
    cbor_write_map(reply, upload->hashed ? 2 : 1);
    smp_put_uint(reply, "off", upload->length);
    if (upload->hashed) {
        smp_put_bool(reply, "match", match);
    }
    return SMP_OK;
}

int smp_image_upload(struct smp_server *server, const struct cbor_value *fields, struct cbor_writer *reply) {
    struct smp_upload *upload = &server->upload;
    if (!fields[FIELD_DATA].present) {
        return SMP_INVALID;
    }
    if (!fields[FIELD_OFFSET].present) {
        return IMAGE_INVALID_OFFSET;
    }
    uint32_t offset = fields[FIELD_OFFSET].value;
    if (offset == 0 && !same_upload(upload, fields)) {
        int error = begin(server, fields);
        if (error != SMP_OK) {
            return error;
        }
    }
    if (!upload->open || offset != upload->offset) {
        return reply_offset(upload, reply); // the host goes on from what we answer
    }
    const uint8_t *data = fields[FIELD_DATA].data;
    uint32_t length = fields[FIELD_DATA].length;
    if (length > upload->length - offset) {
        return IMAGE_OVERRUN;
    }
    if (length != upload->length - offset) {
        length -= length % BOARD_FLASH_PROGRAM_SIZE; // the rest comes again with the next packet
        if (length == 0) {
            return IMAGE_INVALID_LENGTH;
        }
    }
    int error = program(upload, data, length);
    if (error != SMP_OK) {
        upload->open = false;
        return error;
    }
    server->services->sha256_update(&upload->hash, data, length);
    upload->offset += length;
    if (upload->offset / MARK_EVERY != offset / MARK_EVERY && upload->offset != upload->length) {
        save_mark(upload, upload->offset / MARK_EVERY * MARK_EVERY);
    }
    return upload->offset == upload->length ? finish(server, reply) : reply_offset(upload, reply);
}
