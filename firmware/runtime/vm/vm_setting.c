// SPDX-License-Identifier: Apache-2.0
// enclave.setting(): one line of the text that the operator gave this board.
#include <string.h>

#include "coffret/syscall.h"
#include "coffret/tables.h"
#include "py/mperrno.h"
#include "py/runtime.h"
#include "vm.h"

#if MICROPY_PY_ENCLAVE

static uint32_t granted(void) {
    uint32_t self = (uint32_t)(vm_self - coffret_tasks);
    for (uint32_t number = 0; number < coffret_counts.devices; number++) {
        if (coffret_devices[number].task == self && coffret_devices[number].kind == DEVICE_SETTINGS) {
            return number;
        }
    }
    mp_raise_ValueError(MP_ERROR_TEXT("settings are not granted to this enclave"));
}

// Where the value of `name` begins in NAME=VALUE lines; NULL: there is none.
static const char *find(const char *text, const char *end, const char *name, size_t length) {
    while (text < end) {
        const char *line_end = memchr(text, '\n', (size_t)(end - text));
        size_t line = (size_t)((line_end != NULL ? line_end : end) - text);
        if (line > length && text[length] == '=' && memcmp(text, name, length) == 0) {
            return text + length + 1u;
        }
        text += line + 1u;
    }
    return NULL;
}

static mp_obj_t enclave_setting(mp_obj_t name_in) {
    size_t length;
    const char *name = mp_obj_str_get_data(name_in, &length);
    uint32_t what = DEVICE_CALL_SETTINGS | granted() << 8;
    char *text = m_new(char, SETTINGS_MAX);
    int32_t size = syscall3(SYS_DEVICE, what, (uint32_t)text, SETTINGS_MAX);
    if (size < 0) {
        mp_raise_OSError(MP_EIO);
    }
    mp_obj_t value = mp_const_none;
    const char *end = text + size, *at = find(text, end, name, length);
    if (at != NULL) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        value = mp_obj_new_str(at, (size_t)((line_end != NULL ? line_end : end) - at)); // raises: no UTF-8
    }
    m_del(char, text, SETTINGS_MAX);
    return value;
}
MP_DEFINE_CONST_FUN_OBJ_1(enclave_setting_obj, enclave_setting);

#endif
