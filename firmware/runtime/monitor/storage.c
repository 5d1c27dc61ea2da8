// SPDX-License-Identifier: Apache-2.0
// Flash and the record store for the services: the other slot and no more of the flash, a few keys and no more
// of the store.
#include "monitor.h"

#include <string.h>

#include "board_config.h"
#include "coffret/board.h"
#include "coffret/boot_state.h"
#include "coffret/flash.h"
#include "coffret/store.h"

#define SERVICES_LAST 31u       // keys STORE_SERVICES.. that a service may use
#define SERVICE_RECORD_MAX 128u // sixteen of them leave room for boot's own records, whatever they hold
#define ENDORSEMENT_MAX 1024u

static struct store store MONITOR_BSS;

RARE void storage_start(void) {
    store_open(&store, BOARD_STORE_OFFSET, BOARD_STORE_BANK_SIZE);
}

static uint8_t other_slot(void) {
    return coffret_counts.slot == 0 ? 1u : 0u;
}

static uint32_t other_offset(void) {
    return coffret_counts.slot == 0 ? BOARD_SLOT_B_OFFSET : BOARD_SLOT_A_OFFSET;
}

static bool inside_slot(uint32_t offset, uint32_t length) {
    return offset <= BOARD_SLOT_SIZE && length <= BOARD_SLOT_SIZE - offset;
}

RARE int32_t storage_erase(uint32_t offset, uint32_t length) {
    if (!inside_slot(offset, length)) {
        return ERR_DENIED;
    }
    return flash_erase(other_offset() + offset, length) == FLASH_OK ? 0 : ERR_FLASH;
}

RARE int32_t storage_program(uint32_t offset, const void *data, uint32_t length) {
    if (!inside_slot(offset, length)) {
        return ERR_DENIED;
    }
    return flash_program(other_offset() + offset, data, length) == FLASH_OK ? 0 : ERR_FLASH;
}

static int32_t syscall_error_of(int result) {
    switch (result) {
        case STORE_NOT_FOUND: return ERR_NOT_FOUND;
        case STORE_SIZE: return ERR_SIZE;
        case STORE_FLASH: return ERR_FLASH;
        case STORE_KEY: return ERR_DENIED;
        default: return result;
    }
}

RARE int32_t storage_get(uint32_t key, void *to, uint32_t capacity) {
    if (key == STORE_WEAR) {
        const struct store_wear wear = store_wear(&store);
        if (capacity < sizeof wear) {
            return ERR_SIZE;
        }
        memcpy(to, &wear, sizeof wear);
        return sizeof wear;
    }
    // Not the image MAC and nothing unknown: those are boot's.
    bool readable = (key >= STORE_BOOT_STATE && key <= STORE_BOOT_COUNT) || key == STORE_KEY_FLOOR || (key >= STORE_SERVICES && key <= SERVICES_LAST);
    return readable ? syscall_error_of(store_get(&store, (uint8_t)key, to, capacity)) : ERR_DENIED;
}

static bool may_secure(const void *data, uint32_t length) {
    const uint8_t *bytes = data;
    uint8_t now[2];
    if (length != sizeof now || bytes[0] != (LIFECYCLE_SECURED & 0xFFu) || bytes[1] != LIFECYCLE_SECURED >> 8) {
        return false;
    }
    // Once: nothing leads back, from no later state either, and nothing needs writing twice.
    return store_get(&store, STORE_LIFECYCLE, now, sizeof now) != (int)sizeof now || now[1] < bytes[1];
}

// As the store says, not as boot measured it: the endorsement that comes next must find them fixed.
static bool is_secured_now(void) {
    uint16_t now;
    return store_get(&store, STORE_LIFECYCLE, &now, sizeof now) == (int)sizeof now && is_secured(now);
}

static bool may_put(uint32_t key, const void *data, uint32_t length) {
    switch (key) {
        case STORE_LIFECYCLE:
            return may_secure(data, length);
        case STORE_ENDORSEMENT:
            return length <= ENDORSEMENT_MAX;
        case STORE_BOARD_SETTINGS:
            return length <= SETTINGS_MAX && !is_secured_now();
        case STORE_ORDER:
            return length <= STORE_ORDER_MAX; // boot looks at who signed it
        default:
            return key >= STORE_SERVICES && key <= SERVICES_LAST && length <= SERVICE_RECORD_MAX;
    }
}

RARE int32_t storage_put(uint32_t key, const void *data, uint32_t length) {
    return may_put(key, data, length) ? syscall_error_of(store_put(&store, (uint8_t)key, data, length)) : ERR_DENIED;
}

// The monitor's own record, which no service may read or write.
RARE int32_t storage_get_budgets(void *to, uint32_t capacity) {
    return syscall_error_of(store_get(&store, STORE_BUDGETS, to, capacity));
}

RARE int32_t storage_put_budgets(const void *data, uint32_t length) {
    return syscall_error_of(store_put(&store, STORE_BUDGETS, data, length));
}

RARE int32_t storage_mark_test(void) {
    return syscall_error_of(boot_state_mark_test(&store, other_slot()));
}

RARE int32_t storage_confirm(void) {
    return syscall_error_of(boot_state_confirm(&store, coffret_counts.slot, __handoff.security_counter));
}

RARE int32_t storage_reset(uint32_t mode) {
    if (mode != 0) {
        int result = boot_state_set_recovery(&store, 1);
        if (result < 0) {
            return syscall_error_of(result);
        }
    }
    board_port_flush();
    board_reset();
}
