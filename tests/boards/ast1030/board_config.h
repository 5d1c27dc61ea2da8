// SPDX-License-Identifier: Apache-2.0
// QEMU's ast1030-evb with a W25Q80BL of 1 MiB on chip select 0: a test target, no board of ours.
#define BOARD_FLASH_BASE 0x80000000u
#define BOARD_FLASH_SIZE 0x100000u
#define BOARD_FLASH_ERASE_SIZE 0x1000u
#define BOARD_FLASH_PROGRAM_SIZE 4u
