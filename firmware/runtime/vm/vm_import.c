// SPDX-License-Identifier: Apache-2.0
// Import of frozen modules without packages: what an appliance of a few files needs, at a tenth of the size of
// MicroPython's own importer (which takes over when the switch MICROPY_ENABLE_EXTERNAL_IMPORT is set).
#include <string.h>

#include "py/builtin.h"
#include "py/emitglue.h"
#include "py/frozenmod.h"
#include "py/objmodule.h"
#include "py/runtime.h"
#include "vm.h"

bool vm_run_frozen(const char *name, size_t length, mp_obj_dict_t *globals) {
    static const char suffix[] = ".py";
    char file[MICROPY_ALLOC_PATH_MAX];
    if (length + sizeof(suffix) > sizeof(file)) {
        return false;
    }
    memcpy(file, name, length);
    memcpy(file + length, suffix, sizeof(suffix));

    int kind;
    void *found;
    if (mp_find_frozen_module(file, &kind, &found) != MP_IMPORT_STAT_FILE) {
        return false;
    }
    const mp_frozen_module_t *frozen = found;
    // Functions of the module keep a pointer to this context, so it lives on the heap.
    mp_module_context_t *context = m_new_obj(mp_module_context_t);
    context->module.base.type = &mp_type_module;
    context->module.globals = globals;
    context->constants = frozen->constants;

    nlr_jump_callback_node_globals_locals_t before;
    before.globals = mp_globals_get();
    before.locals = mp_locals_get();
    nlr_push_jump_callback(&before.callback, mp_globals_locals_set_from_nlr_jump_callback);
    mp_globals_set(globals);
    mp_locals_set(globals);
    mp_call_function_0(mp_make_function_from_proto_fun(frozen->proto_fun, context, NULL));
    nlr_pop_jump_callback(true);
    return true;
}

#if !MICROPY_ENABLE_EXTERNAL_IMPORT

struct unregister {
    nlr_jump_callback_node_t callback;
    mp_obj_t name;
};

// A module whose body raised must not be found by the next import.
static void unregister_module(void *context) {
    const struct unregister *failed = context;
    mp_map_lookup(&MP_STATE_VM(mp_loaded_modules_dict).map, failed->name, MP_MAP_LOOKUP_REMOVE_IF_FOUND);
}

mp_obj_t vm_import(size_t n_args, const mp_obj_t *args) {
    qstr name = mp_obj_str_get_qstr(args[0]);
    if (n_args >= 5 && MP_OBJ_SMALL_INT_VALUE(args[4]) != 0) {
        mp_raise_NotImplementedError(MP_ERROR_TEXT("relative import"));
    }
    mp_map_elem_t *loaded =
        mp_map_lookup(&MP_STATE_VM(mp_loaded_modules_dict).map, MP_OBJ_NEW_QSTR(name), MP_MAP_LOOKUP);
    if (loaded != NULL) {
        return loaded->value;
    }
    for (int extensible = 0; extensible <= 1; extensible++) {
        mp_obj_t builtin = mp_module_get_builtin(name, extensible);
        if (builtin != MP_OBJ_NULL) {
            return builtin;
        }
    }

    mp_obj_t module = mp_obj_new_module(name);
    struct unregister on_exception = {.name = MP_OBJ_NEW_QSTR(name)};
    nlr_push_jump_callback(&on_exception.callback, unregister_module);
    size_t length;
    const char *text = (const char *)qstr_data(name, &length);
    if (!vm_run_frozen(text, length, mp_obj_module_get_globals(module))) {
#if MICROPY_ERROR_REPORTING <= MICROPY_ERROR_REPORTING_TERSE
        mp_raise_msg(&mp_type_ImportError, MP_ERROR_TEXT("module not found"));
#else
        mp_raise_msg_varg(&mp_type_ImportError, MP_ERROR_TEXT("no module named '%q'"), name);
#endif
    }
    nlr_pop_jump_callback(false);
    return module;
}

#endif
