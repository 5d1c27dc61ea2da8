// SPDX-License-Identifier: Apache-2.0
// What the RP2040's boot ROM loads from the start of the flash (data sheet, section 2.8.1): 252 bytes and their CRC-32
// (polynomial 0x04C11DB7, from 0xFFFFFFFF, nothing reflected; tests/pico holds it against the ROM's rule). The ROM runs it
// from SRAM, so it must not depend on its address. It makes the flash readable in place and starts boot behind it.
//
// The serial read 03h is understood by every flash chip, needs no mode of the chip's that could survive a reset, and is
// slower than the quad modes: 32 clocks of command and address for each 32 of data.
    .syntax unified
    .cpu cortex-m0plus
    .thumb

#define SSI 0x18000000              // section 4.10.13
#define SSI_CTRLR0 0x00
#define SSI_CTRLR1 0x04
#define SSI_SSIENR 0x08
#define SSI_BAUDR 0x14
#define SSI_SPI_CTRLR0 0xF4

    .section .boot_first_stage, "ax", %progbits
    .balign 4
first_stage:
    ldr     r3, =SSI
    movs    r0, #0
    str     r0, [r3, #SSI_SSIENR]   // registers change only while it is off
    movs    r1, #4
    str     r1, [r3, #SSI_BAUDR]    // SCK = clk_sys / 4: 31 MHz at most; 03h is good for 50 (W25Q16JV, section 9.6)
    ldr     r1, =0x001F0300         // one data line, 32-bit frames, EEPROM read: send a command, take data
    str     r1, [r3, #SSI_CTRLR0]
    str     r0, [r3, #SSI_CTRLR1]   // one frame a read
    ldr     r1, =0x03000218         // command 03h, 8 bits; address 24 bits; both on one line
    ldr     r2, =SSI + SSI_SPI_CTRLR0
    str     r1, [r2]
    movs    r0, #1
    str     r0, [r3, #SSI_SSIENR]

    ldr     r0, =0x10000100         // boot's vector table (boot.ld: boot_first_stage)
    ldr     r1, =0xE000ED08         // VTOR
    str     r0, [r1]
    ldmia   r0!, {r1, r2}
    msr     msp, r1
    bx      r2
    .ltorg

    .org 252
    .word   0x1812A82C              // CRC-32
