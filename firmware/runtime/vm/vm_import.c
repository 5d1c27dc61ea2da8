// SPDX-License-Identifier: Apache-2.0
// Import of built-in and frozen modules: what an appliance of a few files needs, at a tenth of the size of MicroPython's
// own importer (which takes over when the switch MICROPY_ENABLE_EXTERNAL_IMPORT is set). Packages with the switch
// MICROPY_PY_PACKAGES; their relative imports became absolute ones at the build.
#include <string.h>

#include "py/builtin.h"
#include "py/emitglue.h"
#include "py/frozenmod.h"
#include "py/objmodule.h"
#include "py/runtime.h"
#include "vm.h"

#if MICROPY_PY_PACKAGES

// `a.b` is the file a/b.py or, a package, a/b/__init__.py. NULL if neither is there.
static const mp_frozen_module_t *find_module(const char *name, size_t length) {
    static const char suffix[] = ".py", inside[] = "/__init__.py";
    char file[MICROPY_ALLOC_PATH_MAX];
    if (length + sizeof(inside) > sizeof(file)) {
        return NULL;
    }
    for (size_t i = 0; i < length; i++) {
        file[i] = name[i] == '.' ? '/' : name[i];
    }
    int kind;
    void *found;
    memcpy(file + length, suffix, sizeof(suffix));
    if (mp_find_frozen_module(file, &kind, &found) == MP_IMPORT_STAT_FILE) {
        return found;
    }
    memcpy(file + length, inside, sizeof(inside));
    return mp_find_frozen_module(file, &kind, &found) == MP_IMPORT_STAT_FILE ? found : NULL;
}

#endif

bool vm_run_frozen(const char *name, size_t length, mp_obj_dict_t *globals) {
#if MICROPY_PY_PACKAGES
    const mp_frozen_module_t *frozen = find_module(name, length);
    if (frozen == NULL) {
        return false;
    }
#else
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
#endif
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

static mp_obj_t import_module(qstr name) {
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

#if MICROPY_PY_PACKAGES

// `from package import name`: what the package has not may be a module in it.
static void import_submodule(mp_obj_t package, qstr package_name, qstr name) {
    mp_obj_t found[2];
    mp_load_method_maybe(package, name, found);
    if (found[0] != MP_OBJ_NULL) {
        return;
    }
    vstr_t full;
    vstr_init(&full, MICROPY_ALLOC_PATH_MAX);
    vstr_printf(&full, "%q.%q", package_name, name);
    if (find_module(full.buf, full.len) != NULL) {
        mp_store_attr(package, name, import_module(qstr_from_strn(full.buf, full.len)));
    }
    vstr_clear(&full);
}

// `a.b.c`: a, then a.b in it, then a.b.c in that.
static mp_obj_t import_dotted(qstr name, mp_obj_t names) {
    size_t length;
    const char *text = (const char *)qstr_data(name, &length);
    mp_obj_t top = MP_OBJ_NULL, module = MP_OBJ_NULL;
    for (size_t start = 0, end = 0; end <= length; end++) {
        if (end < length && text[end] != '.') {
            continue;
        }
        mp_obj_t inner = import_module(qstr_from_strn(text, end));
        if (module == MP_OBJ_NULL) {
            top = inner;
        } else {
            mp_store_attr(module, qstr_from_strn(text + start, end - start), inner);
        }
        module = inner;
        start = end + 1;
    }
    if (names == mp_const_none) {
        return top;
    }
    size_t count;
    mp_obj_t *items;
    mp_obj_get_array(names, &count, &items);
    for (size_t i = 0; i < count; i++) {
        import_submodule(module, name, mp_obj_str_get_qstr(items[i]));
    }
    return module;
}

#endif

mp_obj_t vm_import(size_t n_args, const mp_obj_t *args) {
    qstr name = mp_obj_str_get_qstr(args[0]);
    if (n_args >= 5 && MP_OBJ_SMALL_INT_VALUE(args[4]) != 0) {
        mp_raise_NotImplementedError(MP_ERROR_TEXT("relative import"));
    }
#if MICROPY_PY_PACKAGES
    return import_dotted(name, n_args >= 4 ? args[3] : mp_const_none);
#else
    return import_module(name);
#endif
}

#endif
