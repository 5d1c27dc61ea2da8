// SPDX-License-Identifier: Apache-2.0
// The three functions the compiler may call. (An image has the VM's.)
#include <stddef.h>
#include <stdint.h>

void *memcpy(void *to, const void *from, size_t length);
void *memset(void *to, int value, size_t length);
int memcmp(const void *one, const void *two, size_t length);

void *memcpy(void *to, const void *from, size_t length) {
    for (size_t i = 0; i < length; i++) {
        ((uint8_t *)to)[i] = ((const uint8_t *)from)[i];
    }
    return to;
}

void *memset(void *to, int value, size_t length) {
    for (size_t i = 0; i < length; i++) {
        ((uint8_t *)to)[i] = (uint8_t)value;
    }
    return to;
}

int memcmp(const void *one, const void *two, size_t length) {
    for (size_t i = 0; i < length; i++) {
        int difference = ((const uint8_t *)one)[i] - ((const uint8_t *)two)[i];
        if (difference != 0) {
            return difference;
        }
    }
    return 0;
}
