// SPDX-License-Identifier: Apache-2.0
#include "label.h"

bool label_is_empty(const struct label *label) {
    uint32_t any = 0;
#pragma clang loop unroll(full)
    for (unsigned i = 0; i < COFFRET_LABEL_WORDS; i++) {
        any |= label->word[i];
    }
    return any == 0;
}

bool labels_are_equal(const struct label *one, const struct label *other) {
    uint32_t differ = 0;
#pragma clang loop unroll(full)
    for (unsigned i = 0; i < COFFRET_LABEL_WORDS; i++) {
        differ |= one->word[i] ^ other->word[i];
    }
    return differ == 0;
}

bool secrecy_may_flow(const struct label *from, const struct gate *gate, const struct label *to) {
    uint32_t leaked = 0;
#pragma clang loop unroll(full)
    for (unsigned i = 0; i < COFFRET_LABEL_WORDS; i++) {
        uint32_t released = gate != 0 ? gate->releases.word[i] : 0;
        leaked |= from->word[i] & ~released & ~to->word[i];
    }
    return leaked == 0;
}

bool integrity_may_flow(const struct label *from, const struct gate *gate, const struct label *to) {
    uint32_t missing = 0;
#pragma clang loop unroll(full)
    for (unsigned i = 0; i < COFFRET_LABEL_WORDS; i++) {
        uint32_t vouched = gate != 0 ? gate->vouches.word[i] : 0;
        missing |= to->word[i] & ~(from->word[i] | vouched);
    }
    return missing == 0;
}
