// SPDX-License-Identifier: Apache-2.0
// strtoll for MicroPython's 64-bit integers (py/objint_longlong.c): base 2 to 36, given explicitly; a value out of
// range saturates, as the standard says (C11 7.22.1.4), but there is no errno to tell.
#include <stdint.h>
#include <stdlib.h>

static int digit_value(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'z' ? lower - 'a' + 10 : 36;
}

long long strtoll(const char *restrict text, char **restrict end, int base) {
    const char *next = text;
    int negative = *next == '-';
    next += *next == '-' || *next == '+';
    if (base == 16 && next[0] == '0' && (next[1] | 0x20) == 'x') {
        next += 2;
    }
    unsigned long long limit = negative ? (unsigned long long)INT64_MAX + 1 : INT64_MAX;
    unsigned long long value = 0;
    for (int digit; (digit = digit_value(*next)) < base; next++) {
        int fits = value <= (limit - (unsigned)digit) / (unsigned)base;
        value = fits ? value * (unsigned)base + (unsigned)digit : limit;
    }
    if (end != NULL) {
        *end = (char *)next;
    }
    return (long long)(negative ? 0 - value : value);
}
