// SPDX-License-Identifier: Apache-2.0
// Read protection level 1 of an STM32F405 (RM0090, section 3.7.3): no debugger and no ROM boot loader reads the flash, and going
// back to level 0 erases it. Level 2, from which nothing leads back, is never asked for.
#include "coffret/board.h"
#include "registers.h"
#include "stm32f4.h"

void board_lock_flash(void) {}

// In effect from the next power-on.
void board_lock_debug(void) {
    uint32_t options = register_read(FLASH_OPTCR);
    if ((options & FLASH_OPTCR_LEVELS) != FLASH_OPTCR_LEVEL_0) {
        return;
    }
    options = (options & ~(FLASH_OPTCR_LEVELS | FLASH_OPTCR_LOCK)) | FLASH_OPTCR_LEVEL_1;
    register_write(FLASH_OPTKEYR, 0x08192A3Bu);
    register_write(FLASH_OPTKEYR, 0x4C5D6E7Fu);
    register_write(FLASH_OPTCR, options);
    register_write(FLASH_OPTCR, options | FLASH_OPTCR_START);
    while ((register_read(FLASH_SR) & FLASH_SR_BUSY) != 0u) {
    }
    register_write(FLASH_OPTCR, options | FLASH_OPTCR_LOCK);
}
