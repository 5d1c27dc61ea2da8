// SPDX-License-Identifier: Apache-2.0
// There is no file system: what MicroPython's importer and its `io` module ask about files is answered with no.
#include "py/builtin.h"
#include "py/mperrno.h"
#include "py/runtime.h"

#if MICROPY_ENABLE_EXTERNAL_IMPORT
// Frozen modules are found without asking.
mp_import_stat_t mp_import_stat(const char *path) {
    (void)path;
    return MP_IMPORT_STAT_NO_EXIST;
}
#endif

#if MICROPY_PY_IO
static mp_obj_t no_open(size_t n_args, const mp_obj_t *args, mp_map_t *keywords) {
    (void)n_args;
    (void)args;
    (void)keywords;
    mp_raise_OSError(MP_ENOENT);
}
MP_DEFINE_CONST_FUN_OBJ_KW(mp_builtin_open_obj, 1, no_open);
#endif
