// SPDX-License-Identifier: Apache-2.0
// The access control lists of the nRF52833 (section 4.4.4): what boot closes stays closed until the next reset, whoever
// runs, privileged or not. Boot can be written no more, the device secret neither read nor written.
#include "board_config.h"
#include "coffret/board.h"
#include "nrf52.h"
#include "registers.h"

void board_lock_flash(void) {
    acl_close(0u, BOARD_BOOT_BASE, BOARD_BOOT_SIZE, ACL_NO_WRITE);
    acl_close(1u, BOARD_FLASH_BASE + BOARD_SECRETS_OFFSET, BOARD_SECRETS_SIZE, ACL_NO_WRITE | ACL_NO_READ);
    cpu_data_barrier();
}

// In effect from the next reset on; only an erase of the whole part by its control access port takes it back.
void board_lock_debug(void) {
    if ((register_read(UICR_APPROTECT) & 0xFFu) != 0u) {
        nvmc_mode(NVMC_WRITE);
        nvmc_write(UICR_APPROTECT, 0xFFFFFF00u);
        nvmc_mode(NVMC_READ);
    }
}
