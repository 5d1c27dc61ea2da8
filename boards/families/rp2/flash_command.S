// SPDX-License-Identifier: Apache-2.0
// One flash command, from leaving execute-in-place to being back in it. In between nothing in the flash can be read, so
// xip_flash.c copies this to RAM and runs it there; it names no address of its own.
    .syntax unified
    .cpu cortex-m0plus
    .thumb

#define SSI 0x18000000              // section 4.10.13; the values are boot_first_stage.S's
#define SSI_CTRLR0 0x00
#define SSI_CTRLR1 0x04
#define SSI_SSIENR 0x08
#define SSI_BAUDR 0x14
#define SSI_SPI_CTRLR0 0xF4

    .section .text.flash_command, "ax", %progbits
    .balign 4
    .global flash_command_start, flash_command_end
flash_command_start:                // r0: struct flash_command (xip_flash.c)
    push    {r4, r5, r6, lr}
    mov     r4, r0
    ldr     r5, [r4, #0]            // connect_internal_flash()
    blx     r5
    ldr     r5, [r4, #4]            // flash_exit_xip()
    blx     r5
    ldr     r5, [r4, #8]            // flash_range_erase(offset, count, block size, block command) or
    ldr     r0, [r4, #16]           // flash_range_program(offset, data, count)
    ldr     r1, [r4, #20]
    ldr     r2, [r4, #24]
    ldr     r3, [r4, #28]
    blx     r5
    ldr     r5, [r4, #12]           // flash_flush_cache(): what it held is old; it also frees the chip select
    blx     r5
    ldr     r3, =SSI
    movs    r0, #0
    str     r0, [r3, #SSI_SSIENR]
    movs    r1, #4
    str     r1, [r3, #SSI_BAUDR]
    ldr     r1, =0x001F0300
    str     r1, [r3, #SSI_CTRLR0]
    str     r0, [r3, #SSI_CTRLR1]
    ldr     r1, =0x03000218
    ldr     r2, =SSI + SSI_SPI_CTRLR0
    str     r1, [r2]
    movs    r0, #1
    str     r0, [r3, #SSI_SSIENR]
    pop     {r4, r5, r6, pc}
    .ltorg
    .balign 4
flash_command_end:
