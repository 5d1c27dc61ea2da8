// SPDX-License-Identifier: Apache-2.0
// Functions of the Arm run-time ABI (IHI 0043) that the compiler's own run-time library of ziglang 0.15.2 has wrong.
// Part of every link.
//
// Memory functions (section 4.3.4: no result, and memset takes its length before its value): the library's call
// themselves for ever, because LLVM turns their inner memcpy into __aeabi_memcpy again.
    .syntax unified
    .thumb

    // Both forms reach the whole address space with the linker's help; Armv6-M has no wide branch without link.
    .macro tail_call target
#if defined(__ARM_ARCH_6M__)
    push    {r4, lr}
    bl      \target
    pop     {r4, pc}
#else
    b.w     \target
#endif
    .endm

    .macro entry name
    .section .text.\name, "ax", %progbits
    .balign 2
    .global \name, \name\()4, \name\()8
    .type   \name, %function
    .type   \name\()4, %function
    .type   \name\()8, %function
\name:
\name\()4:                          // the suffix promises alignment of the pointers
\name\()8:
    .endm

    entry __aeabi_memcpy            // r0 destination, r1 source, r2 length
    tail_call memcpy

    entry __aeabi_memmove
    tail_call memmove

    entry __aeabi_memset            // r0 destination, r1 length, r2 value
    mov     r3, r1
    mov     r1, r2
    mov     r2, r3
    tail_call memset

    entry __aeabi_memclr            // r0 destination, r1 length
    mov     r2, r1
    movs    r1, #0
    tail_call memset

// Comparisons (section 4.1.2: 0 if an operand is not a number): the library's say that everything is greater
// than what is not a number. a > b is b < a, which it has right.
    .macro comparison name
    .section .text.\name, "ax", %progbits
    .balign 2
    .global \name
    .type   \name, %function
\name:
    .endm

    comparison __aeabi_fcmpgt       // r0 > r1
    mov     r2, r0
    mov     r0, r1
    mov     r1, r2
    tail_call __aeabi_fcmplt

    comparison __aeabi_dcmpgt       // r0:r1 > r2:r3
    mov     r12, r0
    mov     r0, r2
    mov     r2, r12
    mov     r12, r1
    mov     r1, r3
    mov     r3, r12
    tail_call __aeabi_dcmplt
