// SPDX-License-Identifier: Apache-2.0
#include "coffret/flash.h"

bool flash_is_blank(const uint8_t *bytes, size_t length) {
    while (length-- > 0u) {
        if (*bytes++ != 0xFFu) {
            return false;
        }
    }
    return true;
}
