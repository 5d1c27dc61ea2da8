// SPDX-License-Identifier: Apache-2.0
// The SMP server (mcumgr's Simple Management Protocol, versions 1 and 2): header, dispatch, groups os, image and 65.
// One request at a time, one context, no statics.
#ifndef COFFRET_SMP_SERVER_H
#define COFFRET_SMP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "coffret/boot_services.h"
#include "coffret/cbor.h"
#include "smp/backend.h"
#include "smp/delta.h"
#include "smp/frame.h"

#define SMP_HEADER 8u
#define SMP_BUFFER 2048u    // os/params reports it: frame length, message and CRC

// mcumgr's codes (Zephyr: mgmt_defines.h), sent as {"rc": n} in both versions.
enum smp_result {
    SMP_OK = 0,
    SMP_UNKNOWN = 1,
    SMP_INVALID = 3,
    SMP_NOT_FOUND = 5,
    SMP_BAD_STATE = 6,
    SMP_TOO_LARGE = 7,
    SMP_NOT_SUPPORTED = 8,
    SMP_BUSY = 10,
    SMP_DENIED = 11,
    SMP_TOO_NEW = 13
};

// A group's own code: {"err": {"group", "rc"}} in version 2, and in version 1 {"rc"} with the enum smp_result
// nearest to it (server.c).
#define GROUP_ERROR 0x80

enum os_error { OS_NO_ANSWER = GROUP_ERROR | 3 };

// Zephyr: img_mgmt.h.
enum image_error {
    IMAGE_NO_IMAGE = GROUP_ERROR | 3,
    IMAGE_NO_TLVS = GROUP_ERROR | 4,
    IMAGE_INVALID_TLV = GROUP_ERROR | 5,
    IMAGE_HASH_NOT_FOUND = GROUP_ERROR | 8,
    IMAGE_NO_FREE_SLOT = GROUP_ERROR | 9,
    IMAGE_FLASH_READ = GROUP_ERROR | 11,
    IMAGE_FLASH_WRITE = GROUP_ERROR | 12,
    IMAGE_FLASH_ERASE = GROUP_ERROR | 13,
    IMAGE_INVALID_SLOT = GROUP_ERROR | 14,
    IMAGE_INVALID_OFFSET = GROUP_ERROR | 20,
    IMAGE_INVALID_LENGTH = GROUP_ERROR | 21,
    IMAGE_INVALID_HEADER = GROUP_ERROR | 22,
    IMAGE_INVALID_MAGIC = GROUP_ERROR | 23,
    IMAGE_INVALID_HASH = GROUP_ERROR | 24,
    IMAGE_INVALID_ADDRESS = GROUP_ERROR | 25,
    IMAGE_CURRENT_NEWER = GROUP_ERROR | 27,
    IMAGE_ALREADY_PENDING = GROUP_ERROR | 28,
    IMAGE_TOO_LARGE = GROUP_ERROR | 30,
    IMAGE_OVERRUN = GROUP_ERROR | 31,
    IMAGE_CONFIRM_DENIED = GROUP_ERROR | 32,
    IMAGE_TEST_ACTIVE_DENIED = GROUP_ERROR | 33
};

enum smp_group {
    GROUP_OS = 0,
    GROUP_IMAGE = 1,
    GROUP_ATTESTATION = 64,
    GROUP_PROVISIONING = 65,
    GROUP_LOG = 66,
    GROUP_ENCLAVES = 67
};

struct smp_server;

// One map in, one map out: writes the reply and returns 0, or an error (enum smp_result, os_error, image_error).
// What came in lies in the server's `request` buffer, which may be used as scratch once it has been read.
typedef int smp_handler(struct smp_server *server, const struct cbor_value *given, struct cbor_writer *reply);

struct smp_command {
    uint32_t id;                // SMP_COMMAND()
    const char *keys;           // of the request's map, in the order of `given`; at most SMP_KEYS (coffret/cbor.h)
    smp_handler *handler;
};

#define SMP_COMMAND(operation, group, command) ((uint32_t)(operation) | (uint32_t)(group) << 8 | (uint32_t)(command) << 24)

// What the place answers, SMP_COMMANDS and its own; the last one has no handler.
extern const struct smp_command smp_commands[];

enum smp_operation { SMP_READ = 0, SMP_WRITE = 2 }; // the reply's operation is one more
#define SMP_KEYS 6u

// An upload that has begun. After a reset it goes on from the last mark, if the host gave `sha`.
struct smp_upload {
    bool open;
    bool hashed;                // the host gave `sha`
    uint32_t erased;            // end of what has been erased in the slot
    struct upload_mark now;     // where it is
    struct sha256_context hash; // of what is in the slot
#ifdef SMP_DELTA
    bool is_delta;              // the file is the difference to what runs (delta.h)
    struct delta delta;
#endif
};

// The buffers last, so that all else is within reach of short instructions.
struct smp_server {
    bool reset;                 // asked for; done when the reply is out
    bool reset_to_recovery;
    uint8_t refused_slot;       // of the last refusal, BOOT_SLOT_NONE: none yet
    uint8_t refused_reason;     // enum reason
    const struct boot_services *services;
    struct smp_framer framer;
    struct smp_upload upload;
    uint8_t request[SMP_FRAME_HEAD + SMP_BUFFER];
    uint8_t reply[SMP_FRAME_HEAD + SMP_BUFFER + SMP_FRAME_TAIL];
};

void smp_server_start(struct smp_server *server, const struct boot_services *services);
// Bytes from the port. Replies, and in the end a reset, go out through backend.h.
void smp_server_feed(struct smp_server *server, const uint8_t *data, size_t length);

// One pair of the reply's map.
void smp_put_uint(struct cbor_writer *reply, const char *key, uint32_t value);
void smp_put_bool(struct cbor_writer *reply, const char *key, bool value);
void smp_put_bytes(struct cbor_writer *reply, const char *key, const void *data, size_t length);
void smp_put_text(struct cbor_writer *reply, const char *key, const char *text);

smp_handler smp_os_echo, smp_os_reset, smp_os_parameters, smp_os_bootloader;
smp_handler smp_image_state, smp_image_set_state, smp_image_upload, smp_image_erase;
smp_handler smp_identity, smp_refusal;

#define SMP_NO_KEYS ""
// What recovery and manager both answer: rows of smp_commands.
#define SMP_COMMANDS                                                                                                   \
    {SMP_COMMAND(SMP_WRITE, GROUP_OS, 0), CBOR_TEXT("d"), smp_os_echo},                                                \
    {SMP_COMMAND(SMP_WRITE, GROUP_OS, 5), CBOR_UINT("boot_mode"), smp_os_reset},                                       \
    {SMP_COMMAND(SMP_READ, GROUP_OS, 6), SMP_NO_KEYS, smp_os_parameters},                                              \
    {SMP_COMMAND(SMP_READ, GROUP_OS, 8), CBOR_TEXT("query"), smp_os_bootloader},                                       \
    {SMP_COMMAND(SMP_READ, GROUP_IMAGE, 0), SMP_NO_KEYS, smp_image_state},                                             \
    {SMP_COMMAND(SMP_WRITE, GROUP_IMAGE, 0), CBOR_BYTES("hash") CBOR_BOOL("confirm"), smp_image_set_state},            \
    {SMP_COMMAND(SMP_WRITE, GROUP_IMAGE, 1), SMP_UPLOAD_KEYS, smp_image_upload},                                       \
    {SMP_COMMAND(SMP_WRITE, GROUP_IMAGE, 5), CBOR_UINT("slot"), smp_image_erase},                                      \
    {SMP_COMMAND(SMP_READ, GROUP_PROVISIONING, 0), SMP_NO_KEYS, smp_identity},                                         \
    {SMP_COMMAND(SMP_READ, GROUP_PROVISIONING, 2), SMP_NO_KEYS, smp_refusal}
#define SMP_UPLOAD_KEYS                                                                                                \
    CBOR_UINT("off") CBOR_BYTES("data") CBOR_UINT("len") CBOR_BYTES("sha") CBOR_UINT("image") CBOR_BOOL("upgrade")

// Boot's full check of a slot; what it refuses is kept for 65/2 and logged. 0 or an enum image_error.
int smp_image_check(struct smp_server *server, uint8_t slot);
int smp_image_refuse(struct smp_server *server, uint8_t slot, uint8_t reason);

#endif
