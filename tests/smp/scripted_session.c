// SPDX-License-Identifier: Apache-2.0
// Entry point for libFuzzer: the input is a script of what a host does (upload so many chunks, at another place, with a
// byte spoilt; mark for a trial; erase; reset; cut the power), whose files lie here, so that four bytes of input are a
// whole upload. A model beside it (scripted_model.c) says of every reply what it must be, and of the flash what it holds.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "board_config.h"
#include "coffret/boot_services.h"
#include "coffret/cbor.h"
#include "coffret/crypto.h"
#include "coffret/flash.h"
#include "coffret/handoff.h"
#include "coffret/syscall.h"
#include "fuzzed_wire.h"
#include "scripted_model.h"
#include "smp/server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);
int simulated_map(void);
int simulated_run(int port, const struct boot_services *services, const struct identity *identity);

// A step: what, bits 0 to 3, and SMP's second version, bit 6; then three bytes that mean what it makes of them.
#define STEP 4u
#define SECOND_VERSION 0x40u
enum step { SELECT, RUN, RUN_ALL, CHUNK, SPOILT_CHUNK, AGAIN, ODD_BEGIN, RESET, POWER_CUT, LIST, MARK, ERASE, ECHO, ODD_HEADER };
#define REQUESTS 120u // of a script, at most

static struct {
    const uint8_t *script, *end;
    uint32_t requests;
    uint32_t file, chunk, sha; // chosen
    uint32_t next;             // offset of the next chunk
    uint32_t run;              // so many chunks are still to come by themselves
    uint8_t version, sequence;
    uint8_t made[SMP_BUFFER]; // a chunk that is not as the file has it
} host;

static struct request asked;
static uint8_t message[SMP_BUFFER];

// The message: `payload` bytes of it are there already.
static bool send(uint8_t operation, uint8_t group, uint8_t command, size_t payload) {
    const uint8_t header[SMP_HEADER] = {(uint8_t)(host.version << 3 | operation), 0, (uint8_t)(payload >> 8),
                                        (uint8_t)payload, 0, group, ++host.sequence, command};
    memcpy(message, header, sizeof header);
    memcpy(asked.header, header, sizeof header);
    asked.size = SMP_HEADER + payload;
    wire_send(message, asked.size);
    host.requests++;
    return true;
}

static struct cbor_writer map(uint32_t pairs) {
    struct cbor_writer writer;
    cbor_writer_start(&writer, message + SMP_HEADER, sizeof message - SMP_HEADER);
    cbor_write_map(&writer, pairs);
    return writer;
}

static bool send_map(enum request_kind kind, uint8_t operation, uint8_t group, uint8_t command,
                     const struct cbor_writer *writer) {
    asked.kind = kind;
    return send(operation, group, command, cbor_writer_length(writer));
}

static bool send_empty(enum request_kind kind, uint8_t operation, uint8_t group, uint8_t command) {
    struct cbor_writer writer = map(0);
    return send_map(kind, operation, group, command, &writer);
}

// What of `asked` is about an upload, as a message.
static bool send_upload(void) {
    const bool first = asked.offset == 0;
    struct cbor_writer writer = map(2u + (first ? 1u + asked.with_length + (asked.sha != SHA_ABSENT) + asked.upgrade : 0));
    smp_put_uint(&writer, "off", asked.offset);
    if (first) {
        uint8_t sha[32];
        memcpy(sha, files[asked.file].sha, sizeof sha);
        sha[0] ^= asked.sha == SHA_WRONG;
        smp_put_uint(&writer, "image", asked.image);
        if (asked.with_length) {
            smp_put_uint(&writer, "len", files[asked.file].announced);
        }
        if (asked.sha != SHA_ABSENT) {
            smp_put_bytes(&writer, "sha", sha, asked.sha == SHA_SHORT ? 31 : 32);
        }
        if (asked.upgrade) {
            smp_put_bool(&writer, "upgrade", true);
        }
    }
    smp_put_bytes(&writer, "data", asked.data, asked.data_length);
    return send_map(REQUEST_UPLOAD, SMP_WRITE, GROUP_IMAGE, 1, &writer);
}

// The chunk of the chosen file at that place, `more` bytes longer than usual; `over`: to a few bytes beyond the file's end.
static bool chunk(uint32_t offset, int32_t more, bool over) {
    const struct file *file = &files[host.file];
    int32_t length = (int32_t)host.chunk + more;
    length = length < 0 ? 0 : length > CHUNK_MAX ? CHUNK_MAX : length;
    asked = (struct request){.file = host.file, .offset = offset, .sha = host.sha, .with_length = true};
    uint32_t at = offset < file->length ? offset : 0; // beyond its end: anything
    uint32_t left = file->length - at;
    asked.data_length = (uint32_t)length < left ? (uint32_t)length : left;
    asked.data = file->data + at;
    if (over && left < CHUNK_MAX - 8u) {
        asked.data_length = left + 1u + ((uint32_t)more & 7u);
        memset(host.made, 0, sizeof host.made);
        memcpy(host.made, file->data + at, left);
        asked.data = host.made;
    }
    return send_upload();
}

// One byte of it is not the file's: not in what the first packet is judged by.
static bool spoilt_chunk(uint32_t place, uint8_t change) {
    const struct file *file = &files[host.file];
    uint32_t at = host.next < file->length ? host.next : 0;
    uint32_t length = host.chunk < file->length - at ? host.chunk : file->length - at;
    memcpy(host.made, file->data + at, length);
    if (length > 0 && at + place % length >= JUDGED_FIRST) {
        host.made[place % length] ^= change;
    }
    asked = (struct request){.file = host.file, .offset = at, .sha = host.sha, .with_length = true};
    asked.data = host.made;
    asked.data_length = length;
    return send_upload();
}

// A first packet of which something is wrong, by the bits of `what`.
static bool odd_begin(uint8_t what, uint8_t image) {
    const struct file *file = &files[host.file];
    asked = (struct request){.file = host.file, .sha = what & 1u ? SHA_SHORT : host.sha, .with_length = (what & 2u) == 0,
                             .image = what & 4u ? image : 0, .upgrade = (what & 8u) != 0};
    asked.data = file->data;
    asked.data_length = what & 16u ? image : host.chunk < file->length ? host.chunk : file->length;
    return send_upload();
}

static bool mark(uint32_t number, bool confirm) {
    asked = (struct request){.file = number % (file_count + 1u), .confirm = confirm};
    struct cbor_writer writer = map(2);
    smp_put_bytes(&writer, "hash", asked.file == file_count ? base_digest : files[asked.file].digest, 32);
    smp_put_bool(&writer, "confirm", confirm);
    return send_map(REQUEST_MARK, SMP_WRITE, GROUP_IMAGE, 0, &writer);
}

static bool erase(uint8_t slot) {
    asked = (struct request){.slot = slot, .with_slot = slot != 3};
    struct cbor_writer writer = map(asked.with_slot);
    if (asked.with_slot) {
        smp_put_uint(&writer, "slot", slot);
    }
    return send_map(REQUEST_ERASE, SMP_WRITE, GROUP_IMAGE, 5, &writer);
}

static bool echo(uint32_t length) {
    static char text[ECHO_MAX];
    memset(text, 'a' + (int)(length % 26u), sizeof text);
    asked = (struct request){.data = (const uint8_t *)text, .data_length = length % (ECHO_MAX + 1u)};
    struct cbor_writer writer = map(1);
    cbor_write_text(&writer, "d");
    cbor_write_text_length(&writer, text, asked.data_length);
    return send_map(REQUEST_ECHO, SMP_WRITE, GROUP_OS, 0, &writer);
}

// A header as nobody sends it: version, operation and group by `what`, and a length that is off by `wrong`.
static bool odd_header(uint8_t what, uint8_t group, uint8_t wrong) {
    asked = (struct request){.kind = REQUEST_ODD};
    uint8_t version = host.version;
    host.version = what >> 6;
    (void)map(0);
    uint8_t of = group % 5u == 4u ? (uint8_t)(group | 128u) : group % 5u % 2u, command = what >> 3 & 7u;
    (void)send(what & 7u, of, of == GROUP_IMAGE && command == 5u ? 7u : command, 1); // the model wants to know of erases
    host.version = version;
    asked.lies = wrong % 8u == 1u || wrong % 8u == 2u;
    message[3] = asked.header[3] = (uint8_t)(wrong % 8u == 1u ? 0 : wrong % 8u == 2u ? 2 : 1);
    wire_send(message, asked.size);
    return true;
}

// Puts what the step asks for on its way. False: it asks for nothing.
static bool take_step(const uint8_t *step) {
    const uint32_t word = step[1] | (uint32_t)step[2] << 8;
    host.version = (step[0] & SECOND_VERSION) != 0;
    switch (step[0] & 15u) {
    case SELECT:
        host.file = step[1] % file_count;
        host.chunk = step[2] * 6u;
        host.sha = step[3] % 8u < SHA_KINDS ? step[3] % 8u : SHA_RIGHT;
        host.next = 0;
        return false;
    case RUN:
        host.run = step[1] % 64u;
        return chunk(host.next, 0, false);
    case RUN_ALL:
        host.run = REQUESTS;
        return chunk(host.next, 0, false);
    case CHUNK:
        return chunk(host.next + (uint32_t)(int8_t)step[1] * (step[3] & 1u ? 256u : 1u), (int8_t)step[2], (step[3] & 2u) != 0);
    case SPOILT_CHUNK:
        return spoilt_chunk(word, (uint8_t)(step[3] | 1u));
    case AGAIN:
        return chunk(0, (int8_t)step[1], false);
    case ODD_BEGIN:
        return odd_begin(step[1], step[2]);
    case RESET:
        return send_empty(REQUEST_RESET, SMP_WRITE, GROUP_OS, 5);
    case POWER_CUT:
        longjmp(simulated_off, SIMULATED_RESET);
    case LIST:
        return send_empty(REQUEST_LIST, SMP_READ, GROUP_IMAGE, 0);
    case MARK:
        return mark(step[1], step[2] % 4u == 3u);
    case ERASE:
        return erase(step[1] & 3u);
    case ECHO:
        return echo(step[3] & 1u ? ECHO_MAX - word % 8u : word); // also about as long as there is room
    case ODD_HEADER:
        return odd_header(step[1], step[2], step[3]);
    default:
        return false;
    }
}

// What came back for `asked`, if anything is due.
static void judge(void) {
    if (asked.kind == REQUEST_NONE) {
        return;
    }
    size_t length = 0;
    const uint8_t *bytes = wire_reply(&length);
    struct reply reply = read_reply(&asked, bytes, length);
    judge_reply(&asked, &reply);
    if (asked.kind == REQUEST_UPLOAD && reply.code == 0) {
        host.next = reply.offset; // as every host does
    } else if (asked.kind == REQUEST_UPLOAD) {
        host.run = 0;
    }
    if (reply.has_match) {
        host.run = 0;
    }
    asked.kind = REQUEST_NONE;
}

bool wire_next(void) {
    judge();
    while (host.requests < REQUESTS) {
        if (host.run > 0) {
            host.run--;
            return chunk(host.next, 0, false);
        }
        if (host.end - host.script < (int)STEP) {
            return false;
        }
        const uint8_t *step = host.script;
        host.script += STEP;
        if (take_step(step)) {
            return true;
        }
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length) {
    static const struct boot_services services = {BOOT_SERVICES_MAGIC, BOOT_SERVICES_VERSION, sha256_init, sha256_update,
                                                  sha256_finish,       NULL,                  model_check, NULL};
    static const struct identity identity;
    if (length == 0) {
        return 0;
    }
    MUST(simulated_map() == 0);
    model_start(data[0]);
    memset(&host, 0, sizeof host);
    host.script = data + 1;
    host.end = data + length;
    host.chunk = 1000;
    asked.kind = REQUEST_NONE;
    int end;
    do {
        wire_start();
        end = simulated_run(0, &services, &identity);
        judge(); // a reset's reply comes before it
        host.run = 0;
        host.next = 0;
        model_reset();
    } while (end == SIMULATED_RESET);
    MUST(end == SIMULATED_CLOSED);
    model_end();
    return 0;
}
