// SPDX-License-Identifier: Apache-2.0
// The firmware memory controller of an AST1030, whose chip select 0 has the flash chip (Aspeed AST1030 data sheet, FMC
// registers; checked against QEMU's hw/ssi/aspeed_smc.c). In user mode each byte stored to or loaded from its window is one
// byte of the serial bus, from the moment the chip is selected until it is let go; else the window is the chip's content.
#ifndef ASPEED_FMC_H
#define ASPEED_FMC_H

#include <stdint.h>

#define FMC 0x7E620000u
#define FMC_CONFIGURATION (FMC + 0x00u)
#define FMC_CE0_CONTROL (FMC + 0x10u)
#define FMC_WINDOW 0x80000000u

#define FMC_CE0_WRITABLE (1u << 16)
#define FMC_MODE_READ 0u
#define FMC_MODE_USER 3u
#define FMC_CE_STOP (1u << 2)

static inline uint32_t fmc_read(uint32_t address) { return *(const volatile uint32_t *)address; }
static inline void fmc_write(uint32_t address, uint32_t value) { *(volatile uint32_t *)address = value; }

static inline void spi_start(void) {
    fmc_write(FMC_CONFIGURATION, fmc_read(FMC_CONFIGURATION) | FMC_CE0_WRITABLE);
}
static inline void spi_select(void) {
    fmc_write(FMC_CE0_CONTROL, FMC_MODE_USER | FMC_CE_STOP);
    fmc_write(FMC_CE0_CONTROL, FMC_MODE_USER);
}
static inline void spi_release(void) {
    fmc_write(FMC_CE0_CONTROL, FMC_MODE_USER | FMC_CE_STOP);
    fmc_write(FMC_CE0_CONTROL, FMC_MODE_READ);
}
static inline void spi_send(uint8_t byte) { *(volatile uint8_t *)FMC_WINDOW = byte; }
static inline uint8_t spi_receive(void) { return *(const volatile uint8_t *)FMC_WINDOW; }

#endif
