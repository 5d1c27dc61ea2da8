// SPDX-License-Identifier: Apache-2.0
// SMP image upload: chunks go straight to flash, erased block by block just ahead of them. Which slot is the
// image's own statement (its ROM-fixed load address), so a file for the other slot cannot land in the wrong one.
#include <string.h>

#include "board_config.h"
#include "coffret/reason.h"
#include "smp/backend.h"
#include "smp/server.h"
#include "smp/slot_image.h"

// In the order of SMP_UPLOAD_KEYS.
enum field { FIELD_OFFSET, FIELD_DATA, FIELD_LENGTH, FIELD_SHA, FIELD_IMAGE, FIELD_UPGRADE };

// {"off"}, and {"match"} at the end.
static int reply_offset(const struct smp_upload *upload, struct cbor_writer *reply) {
    cbor_write_map(reply, 1);
    smp_put_uint(reply, "off", upload->open ? upload->now.offset : 0);
    return SMP_OK;
}

static bool same_upload(const struct smp_upload *upload, const struct cbor_value *fields) {
    const struct cbor_value *sha = &fields[FIELD_SHA];
    return upload->open && upload->hashed && sha->length == sizeof upload->now.sha &&
           fields[FIELD_LENGTH].value == upload->now.length &&
           memcmp(sha->data, upload->now.sha, sizeof upload->now.sha) == 0;
}

// A mark is written so often; whole erase blocks, so that behind a mark everything is erased anew.
#define MARK_EVERY (BOARD_FLASH_ERASE_SIZE * ((0x4000u + BOARD_FLASH_ERASE_SIZE - 1u) / BOARD_FLASH_ERASE_SIZE))

// `offset` bytes of the file have become `written` bytes in the slot; 0: forget it.
static void save_mark(const struct smp_upload *upload, uint32_t offset, uint32_t written) {
    if (!upload->hashed || upload->now.written < MARK_EVERY) {
        return; // there is none of it
    }
    struct upload_mark mark = upload->now;
    mark.offset = offset;
    mark.written = written;
#ifdef SMP_DELTA
    mark.cursor = upload->delta.cursor;
#endif
    smp_mark_save(&mark);
}

// Whether a mark that names this file can be one of it: the name is the host's word.
static bool mark_fits(const struct smp_upload *upload, const struct upload_mark *mark) {
    if (mark->offset >= mark->length || mark->written % MARK_EVERY != 0 || mark->written == 0) {
        return false;
    }
#ifdef SMP_DELTA
    if (upload->is_delta) {
        return mark->written < upload->delta.length;
    }
#endif
    (void)upload;
    return mark->written == mark->offset;
}

#define MARK_NAME (sizeof(struct upload_mark) - offsetof(struct upload_mark, length))

// The same file as before a reset: on from the mark.
static void resume(struct smp_server *server) {
    struct smp_upload *upload = &server->upload;
    struct upload_mark mark;
    if (!upload->hashed || !smp_mark_load(&mark) || memcmp(&mark.length, &upload->now.length, MARK_NAME) != 0 ||
        !mark_fits(upload, &mark)) {
        return;
    }
    upload->now = mark;
    upload->erased = mark.written;
#ifdef SMP_DELTA
    upload->delta.made = mark.written;
    upload->delta.cursor = mark.cursor;
    upload->delta.gathered = 0;
#endif
    server->services->sha256_update(&upload->hash, smp_slot_address(mark.slot), mark.written);
}

#ifdef SMP_DELTA
// Whether it starts from the image that runs, which `base` gets.
static uint8_t find_base(const struct delta_header *header, uint8_t slot, struct delta_base *base) {
    uint8_t running = slot == 0 ? 1 : 0;
    base->bytes = smp_slot_address(running);
    const uint8_t *digest = smp_slot_digest(running);
    if (digest == NULL || memcmp(digest, header->base, sizeof header->base) != 0) {
        return REASON_DELTA_BASE;
    }
    base->length = slot_image_size((const struct slot_image *)base->bytes);
    base->address = BOARD_FLASH_BASE + (running == 0 ? BOARD_SLOT_A_OFFSET : BOARD_SLOT_B_OFFSET);
    base->move = (uint32_t)(smp_slot_address(slot) - base->bytes);
    return REASON_OK;
}
#endif

// The first packet: refuse here what can be known to be refused in the end.
static int begin(struct smp_server *server, const struct cbor_value *fields) {
    struct smp_upload *upload = &server->upload;
    const struct cbor_value *data = &fields[FIELD_DATA];
    const struct cbor_value *sha = &fields[FIELD_SHA];
    uint32_t length = fields[FIELD_LENGTH].value;
    struct slot_image image;
    // There is one image. 1 is what `smpmgr --slot 1` sends; the image itself names its slot.
    if (fields[FIELD_IMAGE].value > 1) {
        return IMAGE_INVALID_SLOT;
    }
    if (!fields[FIELD_LENGTH].present) {
        return IMAGE_INVALID_LENGTH;
    }
    if (sha->present && sha->length != sizeof upload->now.sha) {
        return IMAGE_INVALID_HASH;
    }
    if (data->length < IMAGE_HEADER_SIZE) {
        return IMAGE_INVALID_HEADER;
    }
    // The image's first bytes, and its length: the file's, or what a delta says of its target.
    const uint8_t *head = data->data;
    size_t head_length = data->length;
    uint32_t image_length = length;
    uint8_t slot = 0;
#ifdef SMP_DELTA
    struct delta_header delta;
    const bool is_delta = delta_is(data->data, data->length);
    if (is_delta) {
        if (delta_header(data->data, data->length, &delta) != REASON_OK) {
            return smp_image_refuse(server, slot, REASON_DELTA);
        }
        head = delta.start;
        head_length = sizeof delta.start;
        image_length = delta.length;
    }
#endif
    memcpy(&image, head, sizeof image);
    uint8_t reason = slot_image_header(&image, image_length);
    if (reason == REASON_TOO_LARGE) {
        reason = REASON_HEADER; // it says more than the file holds
    }
    if (reason == REASON_OK) {
        if (image.load_address == BOARD_FLASH_BASE + BOARD_SLOT_B_OFFSET) {
            slot = 1;
        } else if (image.load_address != BOARD_FLASH_BASE + BOARD_SLOT_A_OFFSET) {
            reason = REASON_SLOT_ADDRESS;
        }
        if (image_length > BOARD_SLOT_SIZE) {
            reason = REASON_TOO_LARGE;
        }
        if (slot == smp_running_slot()) {
            reason = REASON_SLOT_ADDRESS; // built for the slot that runs: it cannot be overwritten
        }
    }
    if (reason == REASON_OK) {
        struct image_limits limits;
        smp_limits(&limits);
        reason = slot_image_hint(head, head_length, limits.minimum_counter);
    }
#ifdef SMP_DELTA
    struct delta_base base = {.length = 0};
    if (reason == REASON_OK && is_delta) {
        reason = find_base(&delta, slot, &base);
    }
#endif
    if (reason != REASON_OK) {
        return smp_image_refuse(server, slot, reason);
    }
    if (fields[FIELD_UPGRADE].value != 0 && !smp_is_upgrade(&image)) {
        return IMAGE_CURRENT_NEWER;
    }
    int error = smp_slot_claim(slot);
    if (error != SMP_OK) {
        return error;
    }
    memset(upload, 0, sizeof *upload);
    upload->open = true;
    upload->now.slot = slot;
    upload->now.length = length;
    upload->hashed = sha->present;
    if (sha->present) {
        memcpy(upload->now.sha, sha->data, sizeof upload->now.sha);
    }
    server->services->sha256_init(&upload->hash);
#ifdef SMP_DELTA
    upload->is_delta = is_delta;
    if (is_delta) {
        delta_open(&upload->delta, &delta, data->data, &base);
    }
#endif
    resume(server);
    return SMP_OK;
}

// Erases ahead and programs. What is left of the last program unit is filled with 0xFF.
static int program(struct smp_server *server, const uint8_t *data, uint32_t length) {
    struct smp_upload *upload = &server->upload;
    while (upload->erased < upload->now.written + length) {
        if (!smp_slot_erase(upload->now.slot, upload->erased, BOARD_FLASH_ERASE_SIZE)) {
            return IMAGE_FLASH_ERASE;
        }
        upload->erased += BOARD_FLASH_ERASE_SIZE;
    }
    uint32_t rest = length % BOARD_FLASH_PROGRAM_SIZE;
    uint32_t whole = length - rest;
    if (whole != 0 && !smp_slot_program(upload->now.slot, upload->now.written, data, whole)) {
        return IMAGE_FLASH_WRITE;
    }
    if (rest != 0) {
        uint8_t unit[BOARD_FLASH_PROGRAM_SIZE];
        memset(unit, 0xFF, sizeof unit);
        memcpy(unit, data + whole, rest);
        if (!smp_slot_program(upload->now.slot, upload->now.written + whole, unit, sizeof unit)) {
            return IMAGE_FLASH_WRITE;
        }
    }
    server->services->sha256_update(&upload->hash, data, length);
    upload->now.written += length;
    return SMP_OK;
}

static int finish(struct smp_server *server, struct cbor_writer *reply) {
    struct smp_upload *upload = &server->upload;
    const uint8_t *wanted = upload->now.sha;
    uint8_t digest[32];
    upload->open = false;
    save_mark(upload, 0, 0); // finished, or wrong from the start: not to be gone on with
    server->services->sha256_finish(&upload->hash, digest);
#ifdef SMP_DELTA
    if (upload->is_delta) {
        wanted = upload->delta.target;
        if (!delta_complete(&upload->delta) || memcmp(digest, wanted, sizeof digest) != 0) {
            return smp_image_refuse(server, upload->now.slot, delta_complete(&upload->delta) ? REASON_HASH : REASON_DELTA);
        }
    }
#endif
    bool match = memcmp(digest, wanted, sizeof digest) == 0;
    if (match || !upload->hashed) {
        int error = smp_image_check(server, upload->now.slot);
        if (error != SMP_OK) {
            return error;
        }
    }
    cbor_write_map(reply, upload->hashed ? 2 : 1);
    smp_put_uint(reply, "off", upload->now.length);
    if (upload->hashed) {
        smp_put_bool(reply, "match", match);
    }
    return SMP_OK;
}

static int take_image(struct smp_server *server, const uint8_t *data, uint32_t length) {
    struct smp_upload *upload = &server->upload;
    uint32_t before = upload->now.offset;
    if (length != upload->now.length - before) {
        length -= length % BOARD_FLASH_PROGRAM_SIZE; // the rest comes again with the next packet
        if (length == 0) {
            return IMAGE_INVALID_LENGTH;
        }
    }
    int error = program(server, data, length);
    if (error != SMP_OK) {
        return error;
    }
    upload->now.offset += length;
    if (upload->now.offset / MARK_EVERY != before / MARK_EVERY && upload->now.offset != upload->now.length) {
        uint32_t mark = upload->now.offset / MARK_EVERY * MARK_EVERY;
        save_mark(upload, mark, mark);
    }
    return SMP_OK;
}

#ifdef SMP_DELTA
static bool write_made(void *server, const uint8_t *data, uint32_t length) {
    return program(server, data, length) == SMP_OK;
}

static int take_delta(struct smp_server *server, const uint8_t *data, uint32_t length) {
    struct smp_upload *upload = &server->upload;
    uint32_t skipped = 0;
    if (upload->now.offset == 0) {
        struct delta_header header;
        if (delta_header(data, length, &header) != REASON_OK) { // begin() saw it, but perhaps in another packet
            return smp_image_refuse(server, upload->now.slot, REASON_DELTA);
        }
        skipped = delta_header_size(&header);
    }
    uint32_t taken;
    uint8_t reason = delta_take(&upload->delta, data + skipped, length - skipped, &taken, write_made, server);
    if (reason != REASON_OK) {
        save_mark(upload, 0, 0);
        return reason == REASON_FLASH ? (int)IMAGE_FLASH_WRITE : smp_image_refuse(server, upload->now.slot, reason);
    }
    upload->now.offset += skipped + taken;
    if (upload->delta.state == DELTA_TOKEN && upload->delta.made % MARK_EVERY == 0 && upload->now.offset != upload->now.length) {
        save_mark(upload, upload->now.offset, upload->now.written);
    }
    return SMP_OK;
}
#endif

static int take(struct smp_server *server, const uint8_t *data, uint32_t length) {
#ifdef SMP_DELTA
    if (server->upload.is_delta) {
        return take_delta(server, data, length);
    }
#endif
    return take_image(server, data, length);
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
    if (!upload->open || offset != upload->now.offset) {
        return reply_offset(upload, reply); // the host goes on from what we answer
    }
    if (fields[FIELD_DATA].length > upload->now.length - offset) {
        return IMAGE_OVERRUN;
    }
    int error = take(server, fields[FIELD_DATA].data, fields[FIELD_DATA].length);
    if (error == IMAGE_INVALID_LENGTH) {
        return error; // nothing was taken
    }
    if (error != SMP_OK) {
        upload->open = false;
        return error;
    }
    return upload->now.offset == upload->now.length ? finish(server, reply) : reply_offset(upload, reply);
}
