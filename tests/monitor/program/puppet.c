// SPDX-License-Identifier: Apache-2.0
// Enclaves that make the calls of a generated sequence and a service that directs them. Their labels forbid that
// they talk, so they share a page of memory which the test's plan grants to all of them, outside of every rule.
// The service tells the host: `op NUMBER RESULT TIME_US [BYTES IN HEX]`, and each new entry of the log.
#include "puppet.h"

#include "coffret/syscall.h"
#include "coffret/tables.h"

#define MESSAGE_MAX 64u
#define NOBODY 0u // as the page starts

static volatile struct {
    uint32_t turn;              // 1 + the task whose turn it is, or NOBODY
    uint32_t number;            // of the operation
    int32_t result;
    uint64_t time;
    uint8_t data[MESSAGE_MAX];
} *const page = (void *)PUPPET_PAGE;

_Noreturn void vm_main(const struct task *self);
_Noreturn void manager_main(const struct task *self);
_Noreturn void attester_main(const struct task *self);

static void perform(const struct operation *operation, uint32_t number) {
    uint8_t message[MESSAGE_MAX];
    for (uint32_t i = 0; i < MESSAGE_MAX; i++) {
        message[i] = (uint8_t)(number + i);
    }
    enum syscall call = operation->kind == OPERATION_SEND ? SYS_SEND : SYS_RECEIVE;
    page->time = syscall_time();
    page->result = syscall3(call, operation->channel, (uint32_t)message, operation->length);
    for (uint32_t i = 0; i < MESSAGE_MAX; i++) {
        page->data[i] = message[i];
    }
}

_Noreturn void vm_main(const struct task *self) {
    uint32_t own = (uint32_t)(self - coffret_tasks);
    for (;;) {
        if (page->turn == own + 1u) {
            perform(&operations[page->number], page->number);
            page->turn = NOBODY;
        }
        syscall3(SYS_WAIT, 0, 1, 0);
    }
}

static struct {
    char text[256];
    uint32_t length;
    uint8_t entries[1024];
    uint32_t next;
} out __attribute__((section(".manager.bss")));

static void put(char c) {
    if (out.length < sizeof out.text) {
        out.text[out.length++] = c;
    }
}
static void put_text(const char *text) {
    while (*text != 0) {
        put(*text++);
    }
}
static void put_number(uint64_t value) {
    char digits[20];
    uint32_t count = 0;
    do {
        digits[count++] = (char)('0' + value % 10u);
        value /= 10u;
    } while (value != 0);
    while (count != 0) {
        put(digits[--count]);
    }
}
static void end_line(void) {
    put('\n');
    syscall3(SYS_PORT_WRITE, (uint32_t)out.text, out.length, 0);
    out.length = 0;
}

static void tell_log(void) {
    int32_t length = syscall3(SYS_LOG_READ, out.next, (uint32_t)out.entries, sizeof out.entries);
    for (int32_t at = 0; at < length;) {
        const struct log_entry *entry = (const struct log_entry *)(out.entries + at);
        put_text("log ");
        for (uint32_t i = 0; i < entry->length; i++) {
            put((char)((const uint8_t *)(entry + 1))[i]);
        }
        end_line();
        out.next = entry->sequence + 1u;
        at += (int32_t)(sizeof *entry + (entry->length + 3u) / 4u * 4u);
    }
}

static void tell_result(const struct operation *operation) {
    put_text("op ");
    put_number(page->number);
    put_text(page->result < 0 ? " -" : " ");
    put_number((uint64_t)(page->result < 0 ? -page->result : page->result));
    put(' ');
    put_number(page->time);
    if (operation->kind == OPERATION_RECEIVE && page->result > 0) {
        put(' ');
        for (int32_t i = 0; i < page->result; i++) {
            put("0123456789abcdef"[page->data[i] >> 4]);
            put("0123456789abcdef"[page->data[i] & 15u]);
        }
    }
    end_line();
}

_Noreturn void manager_main(const struct task *self) {
    (void)self;
    tell_log();
    for (uint32_t number = 0; number < operation_count; number++) {
        const struct operation *operation = &operations[number];
        syscall3(SYS_WAIT, 0, operation->pause_ms, 0);
        page->number = number;
        page->turn = operation->task + 1u;
        while (page->turn != NOBODY) {
            syscall3(SYS_WAIT, 0, 1, 0);
        }
        tell_result(operation);
        tell_log();
    }
    put_text("done");
    end_line();
    for (;;) {
        syscall3(SYS_WAIT, 0, 0xFFFFFFFFu, 0);
    }
}

_Noreturn void attester_main(const struct task *self) {
    (void)self;
    for (;;) {
        syscall3(SYS_WAIT, 0, 0xFFFFFFFFu, 0);
    }
}
