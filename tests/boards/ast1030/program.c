// SPDX-License-Identifier: Apache-2.0
// Asks the driver what a line on UART 5 says, and answers with a line: E offset length, P offset fill length, R offset length.
// Numbers are hexadecimal. P programs `length` bytes fill, fill + 1, ...; R answers the sum of the bytes and how many are FF.
#include <stddef.h>
#include <stdint.h>

#include "coffret/flash.h"

#define UART 0x7E784000u // 8250, its registers four bytes apart
static volatile uint32_t *uart(uint32_t number) { return (volatile uint32_t *)(UART + 4u * number); }

void *memcpy(void *to, const void *from, size_t length) {
    uint8_t *target = to;
    for (const volatile uint8_t *source = from; length != 0u; length--) {
        *target++ = *source++;
    }
    return to;
}
int memcmp(const void *one, const void *two, size_t length) {
    const volatile uint8_t *a = one, *b = two;
    while (length != 0u && *a == *b) {
        a++, b++, length--;
    }
    return length == 0u ? 0 : 1;
}

static uint8_t get(void) {
    while ((*uart(5) & 1u) == 0u) {
    }
    return (uint8_t)*uart(0);
}
static void put(uint8_t byte) {
    while ((*uart(5) & 1u << 5) == 0u) {
    }
    *uart(0) = byte;
}
static void put_number(uint32_t value) {
    for (uint32_t i = 0; i < 8u; i++, value <<= 4) {
        put((uint8_t)"0123456789abcdef"[value >> 28]);
    }
}
static uint32_t number(void) {
    uint32_t value = 0;
    for (uint8_t byte = get(); byte > ' '; byte = get()) {
        value = value << 4 | (byte <= '9' ? byte - '0' : byte - 'a' + 10u);
    }
    return value;
}

static uint8_t buffer[0x2000];

static uint32_t program(uint32_t offset, uint32_t fill, uint32_t length) {
    for (uint32_t i = 0; i < length && i < sizeof buffer; i++) {
        buffer[i] = (uint8_t)(fill + i);
    }
    return (uint32_t)flash_program(offset, buffer, length);
}

static uint32_t read(uint32_t offset, uint32_t length) {
    uint32_t sum = 0, erased = 0;
    if (length > sizeof buffer || flash_read(offset, buffer, length) != FLASH_OK) {
        return 0xFFFFFFFFu;
    }
    for (uint32_t i = 0; i < length; i++) {
        sum += buffer[i];
        erased += buffer[i] == 0xFFu ? 1u : 0u;
    }
    return sum << 12 | (erased & 0xFFFu);
}

__attribute__((used, noreturn)) static void start(void) {
    put('!');
    for (;;) {
        uint8_t what = get();
        (void)get();
        uint32_t offset = number(), second = number();
        if (what == 'E') {
            put_number((uint32_t)flash_erase(offset, second));
        } else if (what == 'P') {
            put_number(program(offset, second, number()));
        } else {
            put_number(read(offset, second));
        }
        put('\n');
    }
}

__attribute__((section(".vectors"), used)) static const void *const vectors[] = {(void *)0x000C0000u, (void *)start};
