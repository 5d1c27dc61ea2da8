// SPDX-License-Identifier: Apache-2.0
#include "report.h"

#include "coffret/section.h"
#include "coffret/syscall.h"

static struct {
    char line[128];
    uint32_t length;
} out __attribute__((section(".manager.bss")));

void put(const char *text) {
    while (*text != 0 && out.length < sizeof out.line) {
        out.line[out.length++] = *text++;
    }
}
void put_number(int32_t value) {
    char digits[12];
    uint32_t count = 0;
    uint32_t rest = value < 0 ? 0u - (uint32_t)value : (uint32_t)value;
    do {
        digits[count++] = (char)('0' + rest % 10u);
        rest /= 10u;
    } while (rest != 0);
    put(value < 0 ? " -" : " ");
    while (count != 0) {
        char digit[2] = {digits[--count], 0};
        put(digit);
    }
}
void end_line(void) {
    put("\n");
    syscall3(SYS_PORT_WRITE, (uint32_t)out.line, out.length, 0);
    out.length = 0;
}
void say(const char *name, int32_t value) {
    put(name);
    put_number(value);
    end_line();
}
