// SPDX-License-Identifier: Apache-2.0
// What of the board is Non-secure. The subsystem's IDAU takes address bit 28: clear is Non-secure, set is Secure, and the
// same memory or device answers at both (ECM 0601256, memory map). Protection controllers in front of RAM and devices
// decide which of the two gets through; after a reset it is the Secure one.
#include "gateways.h"
#include "secure.h"

static void write_word(uint32_t address, uint32_t value) { *(volatile uint32_t *)address = value; }
static uint32_t read_word(uint32_t address) { return *(volatile uint32_t *)address; }

// ---- memory protection controllers (AHB5 TrustZone MPC; DAI 0505, memory map) ----

#define MPC_SSRAM1 0x58007000u
#define MPC_SSRAM2 0x58008000u
#define MPC_SSRAM3 0x58009000u
#define MPC_SRAM 0x50083000u
#define MPC_CTRL 0x00u      // bit 4: a blocked access is a bus error, bit 8: count up BLK_IDX, bit 31: locked until reset
#define MPC_BLK_MAX 0x10u
#define MPC_BLK_IDX 0x18u
#define MPC_BLK_LUT 0x1Cu   // a bit for each block: 1 Non-secure

static void guard_memory(uint32_t controller, bool non_secure) {
    uint32_t last = read_word(controller + MPC_BLK_MAX);
    write_word(controller + MPC_CTRL, 1u << 8 | 1u << 4);
    write_word(controller + MPC_BLK_IDX, 0u);
    for (uint32_t i = 0; i <= last; i++) {
        write_word(controller + MPC_BLK_LUT, non_secure ? 0xFFFFFFFFu : 0u);
    }
    write_word(controller + MPC_CTRL, 1u << 31 | 1u << 8 | 1u << 4);
}

// ---- peripheral protection controllers, by the subsystem's security control blocks ----

#define SECURE_CONTROL 0x50080000u
#define NON_SECURE_CONTROL 0x40080000u
#define SECRESPCFG 0x10u        // 1: a blocked access to a device is a bus error
#define NSCCFG 0x14u            // bit 0: gateways may lie in 0x10000000..0x1FFFFFFF
#define AHBNSPPCEXP0 0x60u      // a bit for each device: 1 Non-secure
#define APBNSPPC0 0x70u
#define APBNSPPCEXP1 0x84u
#define APBNSPPCEXP2 0x88u
#define AHBNSPPPCEXP0 0xA0u     // in the Non-secure block: 1 for unprivileged code too
#define APBNSPPPC0 0xB0u
#define APBNSPPPCEXP1 0xC4u

// Bits of the controllers (DAI 0505, peripheral protection controllers).
#define APB0_TIMER0 (1u << 0)
#define APB0_TIMER1 (1u << 1)
#define APBEXP1_SPI3 (1u << 3)
#define APBEXP1_SPI4 (1u << 4)
#define APBEXP1_UART0 (1u << 5)
#define APBEXP1_UART1 (1u << 6)
#define APBEXP1_UART2 (1u << 7)
#define APBEXP1_I2C2 (1u << 12)
#define APBEXP1_I2C3 (1u << 13)
#define APBEXP1_GRANTABLE (APBEXP1_SPI3 | APBEXP1_SPI4 | APBEXP1_UART2 | APBEXP1_I2C2 | APBEXP1_I2C3)
#define APBEXP2_FPGAIO (1u << 2)
#define AHBEXP0_GPIO0 (1u << 1)

static void open_devices(void) {
    write_word(SECURE_CONTROL + SECRESPCFG, 1u);
    write_word(SECURE_CONTROL + NSCCFG, 1u);
    write_word(SECURE_CONTROL + APBNSPPC0, APB0_TIMER0 | APB0_TIMER1);
    write_word(SECURE_CONTROL + APBNSPPCEXP1, APBEXP1_UART0 | APBEXP1_UART1 | APBEXP1_GRANTABLE);
    write_word(SECURE_CONTROL + APBNSPPCEXP2, APBEXP2_FPGAIO);
    write_word(SECURE_CONTROL + AHBNSPPCEXP0, AHBEXP0_GPIO0);
    // Devices that an enclave can be granted; the others are the monitor's.
    write_word(NON_SECURE_CONTROL + APBNSPPPC0, APB0_TIMER1);
    write_word(NON_SECURE_CONTROL + APBNSPPPCEXP1, APBEXP1_GRANTABLE);
    write_word(NON_SECURE_CONTROL + AHBNSPPPCEXP0, AHBEXP0_GPIO0);
}

// What no region names is Secure; of the flash that is store, secrets and the unused rest.
static void attribute_memory(void) {
    sau_set_region(0u, GATEWAYS_BASE, GATEWAYS_BASE + GATEWAYS_SIZE, SAU_CALLABLE);
    sau_set_region(1u, BOARD_RAM_BASE, BOARD_RAM_BASE + BOARD_RAM_SIZE, SAU_NON_SECURE);
    sau_set_region(2u, BOARD_FLASH_BASE + BOARD_SLOT_A_OFFSET, BOARD_FLASH_BASE + BOARD_SLOT_A_OFFSET + BOARD_SLOT_SIZE,
                   SAU_NON_SECURE);
    sau_set_region(3u, BOARD_FLASH_BASE + BOARD_SLOT_B_OFFSET, BOARD_FLASH_BASE + BOARD_SLOT_B_OFFSET + BOARD_SLOT_SIZE,
                   SAU_NON_SECURE);
    sau_set_region(4u, 0x40000000u, 0x50000000u, SAU_NON_SECURE);
    sau_enable();
}

void board_separate_worlds(void) {
    guard_memory(MPC_SSRAM1, false); // boot
    guard_memory(MPC_SSRAM2, true);
    guard_memory(MPC_SSRAM3, true);
    guard_memory(MPC_SRAM, false);   // the Secure world's own
    attribute_memory();
    open_devices();
    nvic_target_non_secure(0u, 1u << 4);     // the subsystem's own interrupts: timer 1, which an enclave can have
    nvic_target_non_secure(1u, 0xFFFFFFFFu); // the FPGA's, 32 to 63
}

void board_map_secure(uint32_t region) { (void)region; } // flash and devices are all there is
