// SPDX-License-Identifier: Apache-2.0
// A board for recovery on the host.
#include "board_config.h"
#include "boot/boot.h"
#include "coffret/board.h"
#include "coffret/recovery.h"
#include "coffret/flash.h"
#include "simulated_hardware.h"
#include "smp/slot_image.h"

size_t board_port_read(uint8_t *data, size_t capacity) { return simulated_read(data, capacity); }
size_t board_port_write(const uint8_t *data, size_t length) { return simulated_write(data, length); }
void board_port_flush(void) {}
void board_watchdog_feed(void) {}
void board_reset(void) { longjmp(simulated_off, SIMULATED_RESET); }

// Of boot's image check only what recovery asks of it.
uint32_t slot_offset(uint32_t slot) { return slot == 0 ? BOARD_SLOT_A_OFFSET : BOARD_SLOT_B_OFFSET; }
const uint8_t *image_digest(uint32_t slot) {
    return slot_image_digest((const struct slot_image *)flash_address(slot_offset(slot)), BOARD_SLOT_SIZE);
}

// Runs recovery until it ends (enum simulated_end).
int simulated_run(int port, const struct boot_services *services, const struct identity *identity) {
    static struct store store;
    static struct recovery_facts facts;
    simulated_port(port);
    store_open(&store, BOARD_STORE_OFFSET, BOARD_STORE_BANK_SIZE);
    facts.store = &store;
    facts.services = services;
    facts.identity = identity;
    int end = setjmp(simulated_off);
    if (end == 0) {
        recovery_run(&facts);
    }
    return end;
}
