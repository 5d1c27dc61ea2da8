// SPDX-License-Identifier: Apache-2.0
// A monitor for the manager on the host: the system calls, over a simulated board. SIMULATED_SLOT is the running slot.
#include <string.h>

#include "board_config.h"
#include "coffret/boot_services.h"
#include "coffret/boot_state.h"
#include "coffret/flash.h"
#include "coffret/handoff.h"
#include "coffret/syscall.h"
#include "coffret/tables.h"
#include "simulated_hardware.h"

void manager_main(const struct task *self);

const struct task coffret_tasks[] = {{.name = "sensor", .memory_size = 32768}, {.name = "coach"}, {.name = "manager"}, {.name = "attester"}};
const struct system_counts coffret_counts = {.tasks = 4, .enclaves = 2, .slot = SIMULATED_SLOT};

#define OTHER_OFFSET (SIMULATED_SLOT == 0 ? BOARD_SLOT_B_OFFSET : BOARD_SLOT_A_OFFSET)
#define LOG_ENTRIES 64u

static struct {
    struct store store;
    struct identity identity;
    struct {
        struct log_entry head;
        uint8_t text[120];
    } log[LOG_ENTRIES];
    uint32_t logged;
    int32_t evidence;           // what SYS_EVIDENCE returns instead of evidence, if negative
    uint32_t subject;           // of the last SYS_EVIDENCE
    uint32_t counter;           // of the running image
    uint64_t microseconds;
    uint32_t reset_mode;
} simulated;

void simulated_log(uint8_t task, const uint8_t *text, uint32_t length) {
    uint32_t at = simulated.logged % LOG_ENTRIES;
    length = length > 120u ? 120u : length;
    simulated.log[at].head = (struct log_entry){
        .sequence = simulated.logged, .ms = 7u * simulated.logged, .task = task, .length = (uint8_t)length};
    memcpy(simulated.log[at].text, text, length);
    simulated.logged++;
}

void simulated_time(uint64_t microseconds) { simulated.microseconds = microseconds; }
void simulated_evidence(int32_t result) { simulated.evidence = result; }
uint32_t simulated_subject(void) { return simulated.subject; }
uint32_t simulated_reset_mode(void) { return simulated.reset_mode; }
uint64_t syscall_time(void) { return simulated.microseconds; }

static int32_t log_read(uint32_t from, uint8_t *to, uint32_t capacity) {
    uint32_t written = 0;
    uint32_t first = simulated.logged > LOG_ENTRIES ? simulated.logged - LOG_ENTRIES : 0;
    for (uint32_t i = from > first ? from : first; i < simulated.logged; i++) {
        const struct log_entry *head = &simulated.log[i % LOG_ENTRIES].head;
        uint32_t size = (uint32_t)sizeof *head + ((head->length + 3u) & ~3u);
        if (size > capacity - written) {
            break;
        }
        memcpy(to + written, head, sizeof *head);
        memcpy(to + written + sizeof *head, simulated.log[i % LOG_ENTRIES].text, size - sizeof *head);
        written += size;
    }
    return (int32_t)written;
}

// Token: the nonce twice; certificate: "certificate".
static int32_t evidence(const struct evidence_request *request) {
    uint8_t nonce[64];
    uint32_t length = request->nonce_length;
    if (simulated.evidence < 0) {
        return simulated.evidence;
    }
    memcpy(nonce, request->nonce, length);
    uint8_t *reply = request->reply;
    memcpy(reply, (uint8_t[]){(uint8_t)(2u * length), 0, 11, 0}, 4);
    memcpy(reply + 4, nonce, length);
    memcpy(reply + 4 + length, nonce, length);
    memcpy(reply + 4 + 2 * length, "certificate", 11);
    simulated.subject = request->subject;
    return (int32_t)(4u + 2u * length + 11u);
}

static int32_t store_result(int result) {
    if (result >= 0) {
        return result;
    }
    return result == STORE_NOT_FOUND ? ERR_NOT_FOUND : result == STORE_SIZE ? ERR_SIZE : ERR_FLASH;
}

int32_t syscall3(uint32_t number, uintptr_t a, uintptr_t b, uintptr_t c) {
    struct store *store = &simulated.store;
    switch (number) {
    case SYS_PORT_READ:
        return (int32_t)simulated_read((uint8_t *)a, b);
    case SYS_PORT_WRITE:
        return (int32_t)simulated_write((const uint8_t *)a, b);
    case SYS_FLASH_ERASE:
        return a > BOARD_SLOT_SIZE || b > BOARD_SLOT_SIZE - a ? ERR_DENIED
                                                              : flash_erase(OTHER_OFFSET + (uint32_t)a, b);
    case SYS_FLASH_PROGRAM:
        return a > BOARD_SLOT_SIZE || c > BOARD_SLOT_SIZE - a
                   ? ERR_DENIED
                   : flash_program(OTHER_OFFSET + (uint32_t)a, (const void *)b, c);
    case SYS_STORE_GET:
        if (a == STORE_WEAR) {
            *(struct store_wear *)b = store_wear(store);
            return sizeof(struct store_wear);
        }
        return store_result(store_get(store, (uint8_t)a, (void *)b, c));
    case SYS_STORE_PUT:
        return store_result(store_put(store, (uint8_t)a, (const void *)b, c));
    case SYS_MARK_TEST:
        return store_result(boot_state_mark_test(store, 1 - SIMULATED_SLOT));
    case SYS_CONFIRM:
        return store_result(boot_state_confirm(store, SIMULATED_SLOT, simulated.counter));
    case SYS_RESET:
        simulated.reset_mode = (uint32_t)a;
        longjmp(simulated_off, SIMULATED_RESET);
    case SYS_EXIT:
        longjmp(simulated_off, SIMULATED_EXIT);
    case SYS_LOG:
        simulated_log(2, (const uint8_t *)a, (uint32_t)b);
        return 0;
    case SYS_LOG_READ:
        return log_read((uint32_t)a, (uint8_t *)b, (uint32_t)c);
    case SYS_TASK_INFO:
        *(struct task_info *)b = (struct task_info){
            .faults = 10u + (uint32_t)a, .restarts = 20u + (uint32_t)a, .state = 1, .last_fault = FAULT_MEMORY, .cpu_ms = 30u + (uint32_t)a};
        return 0;
    case SYS_EVIDENCE:
        return evidence((const struct evidence_request *)a);
    case SYS_IDENTITY:
        *(struct identity *)a = simulated.identity;
        return 0;
    default:
        return ERR_DENIED;
    }
}

// Runs the manager until it ends (enum simulated_end).
int simulated_run(int port, const struct boot_services *services, const struct identity *identity) {
    memcpy((void *)(uintptr_t)(BOARD_BOOT_BASE + BOOT_SERVICES_OFFSET), services, sizeof *services);
    simulated_port(port);
    store_open(&simulated.store, BOARD_STORE_OFFSET, BOARD_STORE_BANK_SIZE);
    simulated.identity = *identity;
    simulated.logged = 0;
    simulated.evidence = 0;
    simulated.counter = 5;
    simulated.microseconds = 1234567;
    int end = setjmp(simulated_off);
    if (end == 0) {
        manager_main(&coffret_tasks[2]);
    }
    return end;
}
