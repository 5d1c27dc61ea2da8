// SPDX-License-Identifier: Apache-2.0
#include "scripted_model.h"

#include <stdio.h>
#include <string.h>

#include "board_config.h"
#include "coffret/boot_state.h"
#include "coffret/cbor.h"
#include "coffret/flash.h"
#include "coffret/reason.h"
#include "coffret/store.h"
#include "fuzzed_wire.h"
#include "scripted_files.inc"
#include "smp/server.h"
#include "smp/slot_image.h"

#define MARK_EVERY 0x4000u // whole erase blocks of this board
#define COUNTER 3u         // the least that the device takes,
#define RUNS_COUNTER 5u    // and once what runs is confirmed
#define NO_SLOT BOOT_SLOT_NONE
#ifdef BASE
enum { RUNNING = SIMULATED_SLOT }; // the manager's
#else
enum { RUNNING = NO_SLOT };
#endif

static struct {
    bool open, hashed, right;       // as the host said it, and whether its hash is the file's
    uint32_t file, offset;
    bool spoilt;                    // a delta: what comes out is anybody's guess
    uint8_t shadow[LONGEST];        // what was taken of an image
    uint8_t pending, active;
    uint32_t counter;
    bool has_fallback;              // the slot of `active` holds a good image, and must keep it
    struct upload_mark mark;        // stored; offset 0: none
} model;

// What scripts came to, for who asks whether they come to anything.
static struct {
    uint32_t scripts, finished, resumed, deltas, resumed_deltas, marked, refused;
} reached;

__attribute__((destructor)) static void print_reached(void) {
    fprintf(stderr, "reached: scripts %u finished %u resumed %u deltas %u resumed_deltas %u marked %u refused %u\n",
            reached.scripts, reached.finished, reached.resumed, reached.deltas, reached.resumed_deltas, reached.marked,
            reached.refused);
}

// ---- the flash ----

static const uint8_t *slot_bytes(uint32_t slot) {
    return flash_address(slot == 0 ? BOARD_SLOT_A_OFFSET : BOARD_SLOT_B_OFFSET);
}

static bool holds(uint32_t number) {
    const struct file *file = &files[number];
    return file->kind == FILE_IMAGE && memcmp(slot_bytes(file->slot), file->data, file->length) == 0;
}

static bool is_good(uint32_t slot) {
    for (uint32_t number = 0; number < file_count; number++) {
        if (files[number].slot == slot && holds(number)) {
            return true;
        }
    }
    return false;
}

int model_check(uint32_t slot, const struct image_limits *limits, struct image_info *info) {
    memset(info, 0, sizeof *info);
    MUST(slot < 2u && limits->minimum_counter == model.counter);
    return is_good(slot) ? REASON_OK : REASON_SIGNATURE;
}

static struct boot_state stored_state(void) {
    struct store store;
    struct boot_state state;
    store_open(&store, BOARD_STORE_OFFSET, BOARD_STORE_BANK_SIZE);
    boot_state_load(&store, &state);
    return state;
}

static struct upload_mark stored_mark(void) {
    struct store store;
    struct upload_mark mark = {.offset = 0};
    store_open(&store, BOARD_STORE_OFFSET, BOARD_STORE_BANK_SIZE);
    if (store_get(&store, STORE_UPLOAD, &mark, sizeof mark) != (int)sizeof mark) {
        mark.offset = 0;
    }
    return mark;
}

// What must hold after every request: nothing that may run is touched.
static void look_at_flash(void) {
    const struct boot_state state = stored_state();
    MUST(state.pending == model.pending && state.active == model.active);
    MUST(model.pending == NO_SLOT || is_good(model.pending));
    MUST(!model.has_fallback || RUNNING == NO_SLOT || is_good(model.active));
#ifdef BASE
    MUST(memcmp(slot_bytes(RUNNING), base_image, sizeof base_image) == 0);
#endif
}

void model_start(uint8_t what) {
    struct store store;
    struct boot_state state = {.active = NO_SLOT, .pending = NO_SLOT};
    const uint32_t counter = COUNTER;
    memset(&model, 0, sizeof model);
    reached.scripts++;
#ifdef BASE
    memcpy((uint8_t *)(uintptr_t)slot_bytes(RUNNING), base_image, sizeof base_image);
    state.active = RUNNING;
#endif
    if (what & 1u) { // another good image is what was confirmed; the one that runs, if one does, is on trial
        memcpy((uint8_t *)(uintptr_t)slot_bytes(files[FALLBACK].slot), files[FALLBACK].data, files[FALLBACK].length);
        state.active = files[FALLBACK].slot;
        model.has_fallback = true;
    }
    store_open(&store, BOARD_STORE_OFFSET, BOARD_STORE_BANK_SIZE);
    MUST(boot_state_save(&store, &state) == 0);
    MUST(store_put(&store, STORE_SECURITY_COUNTER, &counter, sizeof counter) == 0);
    model.active = state.active;
    model.pending = NO_SLOT;
    model.counter = COUNTER;
}

void model_reset(void) { model.open = false; }

void model_end(void) {
    look_at_flash();
    MUST(flash_is_blank(flash_address(BOARD_SECRETS_OFFSET), BOARD_SECRETS_SIZE));
}

// ---- replies ----

// A number below 256, moving on.
static uint32_t small_number(const uint8_t **at) {
    uint32_t number = *(*at)++;
    if (number == 0x18u) {
        number = *(*at)++;
        MUST(number >= 24u);
    }
    return number;
}

static uint32_t code_of_group(const struct request *asked, const uint8_t *payload, size_t length) {
    static const uint8_t before[] = "\xA1" "cerr" "\xA2" "egroup";
    const uint8_t *at = payload + sizeof before - 1u;
    MUST(length >= sizeof before + 4u && asked->header[0] >> 3 == 1);
    MUST(small_number(&at) == asked->header[5]);
    MUST(memcmp(at, "brc", 3) == 0);
    at += 3;
    uint32_t code = small_number(&at);
    MUST(at == payload + length);
    return GROUP_ERROR | code;
}

struct reply read_reply(const struct request *asked, const uint8_t *message, size_t length) {
    struct reply reply = {.came = message != NULL};
    if (!reply.came) {
        return reply;
    }
    const uint8_t *header = asked->header, *payload = message + SMP_HEADER;
    MUST(length >= SMP_HEADER + 1u);
    length -= SMP_HEADER;
    MUST(message[0] == (uint8_t)((header[0] >> 3 != 0 ? 8u : 0u) + (header[0] & 7u) + 1u) && message[1] == 0);
    MUST((size_t)(message[2] << 8 | message[3]) == length);
    MUST(memcmp(message + 4, header + 4, 4) == 0); // group, sequence, command
    if (length > 4u && memcmp(payload, "\xA1" "cerr", 5) == 0) {
        reply.code = code_of_group(asked, payload, length);
        return reply;
    }
    struct cbor_value values[4] = {0};
    if (cbor_read_map(payload, length, CBOR_UINT("off") CBOR_BOOL("match") CBOR_UINT("rc") CBOR_TEXT("r"), values)) {
        reply.has_offset = values[0].present;
        reply.offset = values[0].value;
        reply.has_match = values[1].present;
        reply.match = values[1].value;
        MUST(!values[2].present || (values[2].value != 0 && !reply.has_offset && !reply.has_match));
        reply.code = values[2].present ? values[2].value : 0;
        reply.text = values[3].data;
        reply.text_length = values[3].present ? values[3].length : 0;
    } else {
        MUST(asked->kind == REQUEST_LIST || asked->kind == REQUEST_MARK || asked->kind == REQUEST_ODD); // lists of images
    }
    return reply;
}

// Zephyr's img_mgmt_translate_error_code(): what a host of the first version is told.
static uint32_t in_version_1(uint32_t code) {
    switch (code) {
    case IMAGE_NO_FREE_SLOT:
    case IMAGE_CURRENT_NEWER:
    case IMAGE_ALREADY_PENDING:
    case IMAGE_CONFIRM_DENIED:
    case IMAGE_TEST_ACTIVE_DENIED:
        return SMP_BAD_STATE;
    case IMAGE_HASH_NOT_FOUND:
        return SMP_UNKNOWN;
    default:
        return SMP_INVALID;
    }
}

static bool is_code(const struct request *asked, const struct reply *reply, uint32_t code) {
    return reply->code == (asked->header[0] >> 3 == 0 && (code & GROUP_ERROR) != 0 ? in_version_1(code) : code);
}

// ---- uploads ----

#define ANY_ERROR UINT32_MAX

static void must_refuse(const struct request *asked, const struct reply *reply, uint32_t code) {
    MUST(code == ANY_ERROR ? reply->code != 0 : is_code(asked, reply, code));
    reached.refused++;
}

static void must_answer(const struct reply *reply, uint32_t offset) {
    MUST(reply->code == 0 && reply->has_offset && !reply->has_match && reply->offset == offset);
}

// Whether a slot may be written at all; 0 or why not.
static uint32_t claim(uint8_t slot) {
    if (RUNNING == NO_SLOT) {
        return 0;
    }
    if (slot == RUNNING) {
        return IMAGE_NO_FREE_SLOT;
    }
    if (model.pending == slot) {
        return IMAGE_ALREADY_PENDING;
    }
    return model.active == slot && is_good(slot) ? (uint32_t)IMAGE_NO_FREE_SLOT : 0;
}

// Why the first packet must be refused, or 0.
static uint32_t first_packet(const struct request *asked) {
    const struct file *file = &files[asked->file];
    if (asked->image > 1u) {
        return IMAGE_INVALID_SLOT;
    }
    if (!asked->with_length) {
        return IMAGE_INVALID_LENGTH;
    }
    if (asked->sha == SHA_SHORT) {
        return IMAGE_INVALID_HASH;
    }
    if (asked->data_length < IMAGE_HEADER_SIZE) {
        return IMAGE_INVALID_HEADER;
    }
    if (file->kind == FILE_HOPELESS || asked->data_length < file->first || file->slot == RUNNING ||
        (file->kind == FILE_HINT && asked->data_length >= IMAGE_HEADER_SIZE + sizeof(struct image_hint))) {
        return ANY_ERROR;
    }
    if (asked->upgrade && RUNNING != NO_SLOT && !file->newer) {
        return IMAGE_CURRENT_NEWER;
    }
    return claim(file->slot);
}

static bool names(const struct upload_mark *mark, uint32_t file, bool right) {
    uint8_t sha[32];
    memcpy(sha, files[file].sha, sizeof sha);
    sha[0] ^= !right;
    return mark->length == files[file].length && mark->slot == files[file].slot && memcmp(mark->sha, sha, 32) == 0;
}

static bool is_same_upload(const struct request *asked) {
    return model.open && model.hashed && asked->with_length && asked->file == model.file &&
           (asked->sha == SHA_RIGHT || asked->sha == SHA_WRONG) && (asked->sha == SHA_RIGHT) == model.right;
}

// An upload begins, at the mark if it is of this file.
static void begin(const struct request *asked) {
    const struct file *file = &files[asked->file];
    if (model.pending == file->slot) {
        model.pending = NO_SLOT; // in recovery: what will be there is not what was marked
    }
    model.open = true;
    model.hashed = asked->sha != SHA_ABSENT;
    model.right = asked->sha == SHA_RIGHT;
    model.file = asked->file;
    model.offset = 0;
    model.spoilt = false;
    if (!model.hashed || model.mark.offset == 0 || !names(&model.mark, asked->file, model.right)) {
        return;
    }
    model.offset = model.mark.offset;
    if (file->kind == FILE_DELTA) {
        model.spoilt = memcmp(slot_bytes(file->slot), files[file->target].data, model.mark.written) != 0;
        reached.resumed_deltas++;
    } else {
        memcpy(model.shadow, slot_bytes(file->slot), model.offset);
        reached.resumed++;
    }
}

static void set_mark(uint32_t offset) {
    const struct file *file = &files[model.file];
    memset(&model.mark, 0, sizeof model.mark);
    model.mark.offset = model.mark.written = offset;
    model.mark.length = file->length;
    model.mark.slot = file->slot;
    memcpy(model.mark.sha, file->sha, 32);
    model.mark.sha[0] ^= !model.right;
}

static void finish_image(const struct request *asked, const struct reply *reply) {
    const struct file *file = &files[model.file];
    bool whole = memcmp(model.shadow, file->data, file->length) == 0;
    model.open = false;
    if (model.hashed && file->length >= MARK_EVERY) {
        model.mark.offset = 0;
    }
    if (model.hashed && !(whole && model.right)) {
        MUST(reply->code == 0 && reply->offset == file->length && reply->has_match && !reply->match);
        return;
    }
    if (!whole || file->kind != FILE_IMAGE) {
        must_refuse(asked, reply, ANY_ERROR);
        return;
    }
    MUST(reply->code == 0 && reply->offset == file->length && reply->has_match == model.hashed);
    MUST(reply->match == model.hashed && holds(model.file));
    reached.finished++;
}

static void take_image(const struct request *asked, const struct reply *reply) {
    const struct file *file = &files[model.file];
    uint32_t size = asked->data_length, before = model.offset;
    if (size != file->length - before) {
        size -= size % BOARD_FLASH_PROGRAM_SIZE;
        if (size == 0) {
            must_refuse(asked, reply, IMAGE_INVALID_LENGTH);
            return;
        }
    }
    memcpy(model.shadow + before, asked->data, size);
    model.offset += size;
    MUST(memcmp(slot_bytes(file->slot), model.shadow, model.offset) == 0);
    if (model.hashed && model.offset / MARK_EVERY != before / MARK_EVERY && model.offset != file->length) {
        set_mark(model.offset / MARK_EVERY * MARK_EVERY);
    }
    if (model.offset == file->length) {
        finish_image(asked, reply);
    } else {
        must_answer(reply, model.offset);
    }
    const struct upload_mark mark = stored_mark();
    MUST(mark.offset == model.mark.offset);
    MUST(mark.offset == 0 || memcmp(&mark, &model.mark, sizeof mark) == 0);
}

// A mark within a delta stands where it may, and tells the truth.
static void look_at_mark(void) {
    const struct file *file = &files[model.file];
    const struct upload_mark mark = stored_mark();
    if (mark.offset != 0 && memcmp(&mark, &model.mark, sizeof mark) != 0) {
        const struct file *target = &files[file->target];
        MUST(model.hashed && names(&mark, model.file, model.right) && mark.offset == model.offset);
        MUST(mark.written != 0 && mark.written % MARK_EVERY == 0 && mark.written < target->length);
        MUST(model.spoilt || memcmp(slot_bytes(file->slot), target->data, mark.written) == 0);
    }
    model.mark = mark;
}

static void take_delta(const struct request *asked, const struct reply *reply) {
    const struct file *file = &files[model.file];
    const uint32_t before = model.offset;
    if (before == 0 && asked->data_length < file->first) {
        must_refuse(asked, reply, ANY_ERROR);
        model.open = false;
        return;
    }
    model.spoilt |= memcmp(asked->data, file->data + before, asked->data_length) != 0;
    if (reply->code != 0) {
        MUST(model.spoilt);
        model.open = false;
        model.mark = stored_mark();
        return;
    }
    model.offset = reply->offset;
    MUST(reply->has_offset && model.offset <= before + asked->data_length);
    MUST(model.offset > before || asked->data_length == 0);
    model.open = model.offset != file->length;
    MUST(reply->has_match == (!model.open && model.hashed));
    look_at_mark();
    if (!model.open) {
        MUST(holds(file->target) && reply->match == reply->has_match);
        MUST(!model.hashed || model.mark.offset == 0);
        reached.deltas++;
    } else if (!model.spoilt && model.hashed && model.offset != before + asked->data_length) {
        MUST(model.mark.offset == model.offset); // only a page's end cuts a packet short
    }
}

static void judge_upload(const struct request *asked, const struct reply *reply) {
    if (asked->offset == 0 && !is_same_upload(asked)) {
        uint32_t code = first_packet(asked);
        if (code != 0) {
            must_refuse(asked, reply, code);
            return;
        }
        begin(asked);
    }
    if (!model.open || asked->offset != model.offset) {
        must_answer(reply, model.open ? model.offset : 0);
    } else if (asked->data_length > files[model.file].length - model.offset) {
        must_refuse(asked, reply, IMAGE_OVERRUN);
    } else if (files[model.file].kind == FILE_DELTA) {
        take_delta(asked, reply);
    } else {
        take_image(asked, reply);
    }
}

// ---- the others ----

static void judge_mark(const struct request *asked, const struct reply *reply) {
    const bool names_running = asked->file == file_count;
    if (asked->confirm) {
        if (names_running && RUNNING != NO_SLOT) {
            MUST(reply->code == 0);
            model.active = RUNNING;
            model.counter = RUNS_COUNTER;
            model.has_fallback = false;
            model.pending = NO_SLOT;
        } else {
            must_refuse(asked, reply, ANY_ERROR);
        }
        return;
    }
    if (names_running) {
        must_refuse(asked, reply, RUNNING == NO_SLOT ? IMAGE_HASH_NOT_FOUND : IMAGE_TEST_ACTIVE_DENIED);
    } else if (files[asked->file].slot != RUNNING && holds(asked->file)) {
        MUST(reply->code == 0);
        model.pending = files[asked->file].slot;
        reached.marked++;
    } else {
        must_refuse(asked, reply, ANY_ERROR);
    }
}

static void judge_erase(const struct request *asked, const struct reply *reply) {
    uint8_t slot = asked->with_slot ? asked->slot : RUNNING == 1 ? 0 : 1;
    uint32_t code = slot > 1u ? (uint32_t)IMAGE_INVALID_SLOT : claim(slot);
    if (code != 0) {
        must_refuse(asked, reply, code);
        return;
    }
    MUST(reply->code == 0 && flash_is_blank(slot_bytes(slot), BOARD_SLOT_SIZE));
    model.pending = model.pending == slot ? NO_SLOT : model.pending;
    model.open = false;
    model.mark.offset = 0;
    MUST(stored_mark().offset == 0);
}

static void judge_echo(const struct request *asked, const struct reply *reply) {
    // A reply has a frame's head, CRC and header in the host's buffer, and "r" and the text's head before the text.
    const uint32_t room = SMP_BUFFER - 2u - 2u - SMP_HEADER - 3u;
    uint32_t head = asked->data_length < 24u ? 1u : asked->data_length < 256u ? 2u : 3u;
    if (asked->data_length + head > room) {
        must_refuse(asked, reply, SMP_TOO_LARGE);
        return;
    }
    MUST(reply->code == 0 && reply->text_length == asked->data_length);
    MUST(asked->data_length == 0 || memcmp(reply->text, asked->data, asked->data_length) == 0);
}

static void judge_odd(const struct request *asked, const struct reply *reply) {
    const uint8_t operation = asked->header[0] & 7u, version = asked->header[0] >> 3;
    const bool is_request = !asked->lies && (operation == SMP_READ || operation == SMP_WRITE);
    MUST(reply->came == is_request);
    if (is_request && version > 1u) {
        MUST(reply->code == SMP_TOO_NEW);
    } else if (is_request && asked->header[5] > 127u) {
        MUST(reply->code == SMP_NOT_SUPPORTED); // there is no such group
    }
}

void judge_reply(const struct request *asked, const struct reply *reply) {
    MUST(reply->came || asked->kind == REQUEST_ODD);
    switch (asked->kind) {
    case REQUEST_UPLOAD:
        judge_upload(asked, reply);
        break;
    case REQUEST_MARK:
        judge_mark(asked, reply);
        break;
    case REQUEST_ERASE:
        judge_erase(asked, reply);
        break;
    case REQUEST_ECHO:
        judge_echo(asked, reply);
        break;
    case REQUEST_ODD:
        judge_odd(asked, reply);
        break;
    default:
        MUST(reply->code == 0);
        break;
    }
    look_at_flash();
}
