// SPDX-License-Identifier: Apache-2.0
// Copies of messages: short, and nearly always between words. The compiler's library goes byte by byte.
#include "monitor.h"

#define WORD 4u
#define BLOCK 16u

// Not to be recognised as what it is and turned into a call of the library.
__attribute__((no_builtin("memcpy"))) void copy_bytes(uint32_t to, uint32_t from, uint32_t length) {
    if (((to | from) % WORD) == 0u) {
        for (; length >= BLOCK; length -= BLOCK) {
            __asm__ volatile("ldmia %[from]!, {r4-r7} \n"
                             "stmia %[to]!, {r4-r7}   \n"
                             : [from] "+l"(from), [to] "+l"(to)
                             :
                             : "r4", "r5", "r6", "r7", "memory");
        }
        for (; length >= WORD; length -= WORD, to += WORD, from += WORD) {
            *(uint32_t *)to = *(const uint32_t *)from;
        }
    }
    for (; length != 0u; length--) {
        *(uint8_t *)to++ = *(const uint8_t *)from++;
    }
}
