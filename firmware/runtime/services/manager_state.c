// SPDX-License-Identifier: Apache-2.0
// What the manager tells about the running system: the log (group 66) and the enclaves (group 67).
#include <string.h>

#include "coffret/store.h"
#include "coffret/syscall.h"
#include "coffret/tables.h"
#include "services/manager.h"

#define US_PER_MS 1000u
// Around the entries: map, two keys, `next`, the array's head.
#define LOG_AROUND 32u
// Around one entry's texts: array, sequence, time, and two heads of texts below 256 bytes.
#define ENTRY_AROUND 15u

static const char *task_name(uint8_t task) {
    return task < coffret_counts.tasks ? coffret_tasks[task].name : "monitor";
}

// Bytes of the well-formed UTF-8 character at `text` (RFC 3629 section 4), 0: there is none.
static size_t character_length(const uint8_t *text, size_t left) {
    uint8_t lead = text[0];
    if (lead < 0x80) {
        return 1;
    }
    if (lead < 0xC2 || lead > 0xF4) {
        return 0;
    }
    size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (length > left) {
        return 0;
    }
    // Neither overlong forms nor surrogates nor beyond U+10FFFF: the second byte tells.
    uint8_t least = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    uint8_t most = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    for (size_t i = 1; i < length; i++) {
        if (text[i] < least || text[i] > most) {
            return 0;
        }
        least = 0x80;
        most = 0xBF;
    }
    return length;
}

// Enclaves log bytes; a CBOR text must be UTF-8. What is not becomes '?'.
static void make_text(uint8_t *text, size_t length) {
    for (size_t at = 0; at < length;) {
        size_t step = character_length(text + at, length - at);
        if (step == 0) {
            text[at] = '?';
            step = 1;
        }
        at += step;
    }
}

static size_t raw_size(const struct log_entry *entry) {
    return sizeof *entry + ((entry->length + 3u) & ~3u);
}

int manager_log(struct smp_server *server, const struct cbor_value *from, struct cbor_writer *reply) {
    uint8_t *scratch = server->request;
    const size_t capacity = sizeof server->request;
    uint32_t next = from->present ? from->value : 0;
    int32_t length = syscall3(SYS_LOG_READ, next, (uintptr_t)scratch, capacity);
    if (length < 0 || length > (int32_t)capacity) {
        return SMP_UNKNOWN;
    }
    // As many whole entries as the reply has room for: they are counted first, the array's head wants the number.
    size_t room = (size_t)(reply->end - reply->at) - LOG_AROUND;
    uint32_t count = 0;
    struct log_entry entry;
    for (size_t at = 0; at + sizeof entry <= (size_t)length; at += raw_size(&entry)) {
        memcpy(&entry, scratch + at, sizeof entry);
        size_t size = ENTRY_AROUND + strlen(task_name(entry.task)) + entry.length;
        if (size > room || raw_size(&entry) > (size_t)length - at) {
            break;
        }
        room -= size;
        next = entry.sequence + 1u;
        count++;
    }
    cbor_write_map(reply, 2);
    smp_put_uint(reply, "next", next);
    cbor_write_text(reply, "entries");
    cbor_write_array(reply, count);
    uint8_t *at = scratch;
    for (; count > 0; count--, at += raw_size(&entry)) {
        memcpy(&entry, at, sizeof entry);
        make_text(at + sizeof entry, entry.length);
        cbor_write_array(reply, 4);
        cbor_write_uint(reply, entry.sequence);
        cbor_write_uint(reply, entry.ms);
        cbor_write_text(reply, task_name(entry.task));
        cbor_write_text_length(reply, (const char *)at + sizeof entry, entry.length);
    }
    return SMP_OK;
}

int manager_enclaves(struct smp_server *server, const struct cbor_value *given, struct cbor_writer *reply) {
    (void)server;
    (void)given;
    struct store_wear wear = {{0, 0}};
    (void)syscall3(SYS_STORE_GET, STORE_WEAR, (uintptr_t)&wear, sizeof wear);
    cbor_write_map(reply, 4);
    cbor_write_text(reply, "store_erases");
    cbor_write_array(reply, 2);
    cbor_write_uint(reply, wear.erased[0]);
    cbor_write_uint(reply, wear.erased[1]);
    cbor_write_text(reply, "enclaves");
    cbor_write_array(reply, coffret_counts.enclaves);
    for (uint8_t task = 0; task < coffret_counts.enclaves; task++) {
        struct task_info info;
        memset(&info, 0, sizeof info);
        (void)syscall3(SYS_TASK_INFO, task, (uintptr_t)&info, 0);
        cbor_write_map(reply, 7);
        smp_put_text(reply, "name", task_name(task));
        smp_put_uint(reply, "state", info.state);
        smp_put_uint(reply, "faults", info.faults);
        smp_put_uint(reply, "restarts", info.restarts);
        smp_put_uint(reply, "last", info.last_fault);
        smp_put_uint(reply, "cpu_ms", info.cpu_ms);
        smp_put_uint(reply, "memory", coffret_tasks[task].memory_size);
    }
    smp_put_uint(reply, "slot", coffret_counts.slot);
    cbor_write_text(reply, "uptime_ms");
    cbor_write_uint64(reply, syscall_time() / US_PER_MS);
    return SMP_OK;
}
