// SPDX-License-Identifier: Apache-2.0
// The block by which the RP2350's boot ROM knows boot (data sheet, section 5.9.5.1): somewhere in the first 4 KiB, and in a
// loop with itself. Boot's vector table is the image's start, where the ROM looks when no item names another.
    .section .boot_image_definition, "aR", %progbits
    .balign 4
    .word   0xFFFFDED3              // start
    .word   0x10210142              // IMAGE_DEF of one word: executable, Secure, Arm, RP2350
    .word   0x000001FF              // the last item: one word came before it
    .word   0                       // the next block is this one
    .word   0xAB123579              // end
