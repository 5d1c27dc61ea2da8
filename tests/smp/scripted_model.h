// SPDX-License-Identifier: Apache-2.0
// What a host may expect of recovery and of the manager, whatever it does: a model of uploads, marks and slots that knows
// nothing of how the server does it. Each claim that is broken aborts.
#ifndef SCRIPTED_MODEL_H
#define SCRIPTED_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "coffret/boot_services.h"

enum file_kind {
    FILE_IMAGE,     // good
    FILE_DELTA,     // from what runs to a good image
    FILE_HOPELESS,  // refused by the first packet
    FILE_HINT       // refused by the first packet if that has the image's hint
};

struct file {
    const uint8_t *data;
    uint32_t length;
    uint32_t announced;     // `length`, but for what is too large
    uint8_t kind;           // enum file_kind
    uint8_t slot;           // where it belongs
    bool newer;             // than what runs
    uint32_t first;         // bytes that its first packet must have
    uint32_t target;        // number of the image that it makes: itself, but for a delta
    uint8_t sha[32];        // of the file
    uint8_t digest[32];     // that a mark names
};

// Written by scripted_files.py.
extern const struct file files[];
extern const uint32_t file_count;
extern const uint8_t base_digest[32]; // of the image that runs

enum sha_kind { SHA_RIGHT, SHA_ABSENT, SHA_WRONG, SHA_SHORT, SHA_KINDS = SHA_SHORT };
#define CHUNK_MAX 1900
#define JUDGED_FIRST 512u   // the first packet is judged by bytes before this
#define ECHO_MAX 2032u      // what one request can hold

enum request_kind {
    REQUEST_NONE, REQUEST_UPLOAD, REQUEST_MARK, REQUEST_ERASE, REQUEST_RESET, REQUEST_LIST, REQUEST_ECHO, REQUEST_ODD
};

struct request {
    enum request_kind kind;
    uint8_t header[8];
    size_t size;
    bool lies;              // its header does not say its length
    const uint8_t *data;
    uint32_t data_length;
    uint32_t file;          // its number
    // Of an upload.
    uint32_t offset, sha, image;
    bool with_length, upgrade;
    // Of a mark, of an erase.
    bool confirm, with_slot;
    uint8_t slot;
};

struct reply {
    bool came;
    uint32_t code;          // enum smp_result or, of a group, with GROUP_ERROR; 0: it is done
    bool has_offset, has_match, match;
    uint32_t offset;
    const uint8_t *text;    // an echo's
    uint32_t text_length;
};

// Checks the header and the form.
struct reply read_reply(const struct request *asked, const uint8_t *message, size_t length);
void judge_reply(const struct request *asked, const struct reply *reply);

// Flash and records as a script finds them; `what`: which of the cases.
void model_start(uint8_t what);
// The board lost all but its flash.
void model_reset(void);
void model_end(void);
// Boot's full check: exactly the good images pass.
int model_check(uint32_t slot, const struct image_limits *limits, struct image_info *info);

#endif
