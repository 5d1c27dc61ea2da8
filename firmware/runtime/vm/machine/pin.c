// SPDX-License-Identifier: Apache-2.0
// machine.Pin. The registers of pins are shared by all pins, so the monitor works them, one checked call each; the
// enclave says which row of its grants it means.
#include <string.h>

#include "py/mphal.h"
#include "py/runtime.h"

#if MICROPY_PY_MACHINE_PIN

#include "driver.h"
#include "events.h"
#include "extmod/modmachine.h"
#include "extmod/virtpin.h"
#include "vm.h"

#define MODE_ALTERNATE 3

struct pin {
    mp_obj_base_t base;
    const struct device *device;
};

// A pin that is an open-drain output must never be driven high, whichever object asks: a bit for each row.
static uint8_t open_drain[256 / 8];

static bool is_open_drain(const struct device *device) {
    uint32_t number = machine_device_number(device);
    return (open_drain[number / 8u] >> number % 8u & 1u) != 0;
}

static void remember(const struct device *device, bool is_open) {
    uint32_t number = machine_device_number(device);
    uint8_t bit = (uint8_t)(1u << number % 8u);
    open_drain[number / 8u] = is_open ? open_drain[number / 8u] | bit : open_drain[number / 8u] & (uint8_t)~bit;
}

static bool get(const struct device *device) {
    return machine_device_call(device, DEVICE_CALL_PIN_GET, PIN_OUTSIDE, 0) != 0;
}

static void set(const struct device *device, bool high) {
    enum pin_level level = !high ? PIN_LOW : is_open_drain(device) ? PIN_RELEASED : PIN_HIGH;
    machine_device_call(device, DEVICE_CALL_PIN_SET, level, 0);
}

static void set_mode(const struct device *device, enum pin_mode mode, enum pin_pull pull, enum pin_level level) {
    machine_device_call(device, DEVICE_CALL_PIN_MODE, (uint32_t)mode | (uint32_t)pull << 8, level);
    remember(device, mode == PIN_OPEN_DRAIN);
}

// ---- which pin ----

static bool is_name(const char *granted, const char *name) {
    // "GP15" in MicroPython, gp15 in the manifest.
    for (; *granted != 0 && *name != 0; granted++, name++) {
        char small = *name >= 'A' && *name <= 'Z' ? (char)(*name - 'A' + 'a') : *name;
        if (small != *granted) {
            return false;
        }
    }
    return *granted == *name;
}

static const struct device *pin_named(const char *name) {
    uint32_t self = (uint32_t)(vm_self - coffret_tasks);
    for (uint32_t number = 0; number < coffret_counts.devices; number++) {
        const struct device *device = &coffret_devices[number];
        if (device->task == self && device->kind == DEVICE_PIN && is_name(device->name, name)) {
            return device;
        }
    }
    mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("pin %s is not granted to this enclave"), name);
}

const struct device *machine_pin_of(mp_obj_t object) {
    if (mp_obj_is_type(object, &machine_pin_type)) {
        return ((const struct pin *)MP_OBJ_TO_PTR(object))->device;
    }
    if (mp_obj_is_str(object)) {
        return pin_named(mp_obj_str_get_str(object));
    }
    return machine_device(DEVICE_PIN, mp_obj_get_int(object));
}

void machine_route(const struct device *bus, unsigned role, mp_obj_t pin) {
    bool usual = pin == mp_const_none;
    if (bus->pins[role] == DEVICE_NONE) {
        if (!usual) {
            mp_raise_ValueError(MP_ERROR_TEXT("its pins are fixed"));
        }
        return;
    }
    const struct device *own = machine_device(DEVICE_PIN, bus->pins[role]);
    const struct device *wanted = usual ? own : machine_pin_of(pin);
    if (wanted != own) {
        set_mode(own, PIN_INPUT, PIN_PULL_NONE, PIN_RELEASED);
    }
    machine_device_call(wanted, DEVICE_CALL_PIN_FUNCTION, bus->function, 0);
}

// ---- the object ----

static mp_obj_t init(const struct pin *self, size_t n_args, const mp_obj_t *pos_args, mp_map_t *kw_args) {
    enum { ARG_mode, ARG_pull, ARG_value, ARG_alt };
    static const mp_arg_t allowed[] = {
        { MP_QSTR_mode, MP_ARG_OBJ, {.u_rom_obj = MP_ROM_NONE} },
        { MP_QSTR_pull, MP_ARG_OBJ, {.u_rom_obj = MP_ROM_NONE} },
        { MP_QSTR_value, MP_ARG_KW_ONLY | MP_ARG_OBJ, {.u_rom_obj = MP_ROM_NONE} },
        { MP_QSTR_alt, MP_ARG_KW_ONLY | MP_ARG_INT, {.u_int = 0} },
    };
    mp_arg_val_t args[MP_ARRAY_SIZE(allowed)];
    mp_arg_parse_all(n_args, pos_args, kw_args, MP_ARRAY_SIZE(allowed), allowed, args);
    bool has_value = args[ARG_value].u_obj != mp_const_none;
    bool high = has_value && mp_obj_is_true(args[ARG_value].u_obj);
    if (args[ARG_mode].u_obj == mp_const_none) {
        if (has_value) {
            set(self->device, high);
        }
        return mp_const_none;
    }
    mp_int_t mode = mp_obj_get_int(args[ARG_mode].u_obj);
    enum pin_pull pull =
        args[ARG_pull].u_obj == mp_const_none ? PIN_PULL_NONE : (enum pin_pull)mp_obj_get_int(args[ARG_pull].u_obj);
    if (mode == MODE_ALTERNATE) {
        machine_device_call(self->device, DEVICE_CALL_PIN_FUNCTION, (uint32_t)args[ARG_alt].u_int, 0);
        return mp_const_none;
    }
    enum pin_level level = high ? PIN_HIGH : PIN_LOW;
    if (mode == PIN_OPEN_DRAIN) {
        level = has_value && !high ? PIN_LOW : PIN_RELEASED;
    }
    set_mode(self->device, (enum pin_mode)mode, pull, level);
    return mp_const_none;
}

mp_obj_t mp_pin_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *args) {
    (void)type;
    mp_arg_check_num(n_args, n_kw, 1, MP_OBJ_FUN_ARGS_MAX, true);
    struct pin *self = mp_obj_malloc(struct pin, &machine_pin_type);
    self->device = machine_pin_of(args[0]);
    if (n_args > 1 || n_kw > 0) {
        mp_map_t kw_args;
        mp_map_init_fixed_table(&kw_args, n_kw, args + n_args);
        init(self, n_args - 1, args + 1, &kw_args);
    }
    return MP_OBJ_FROM_PTR(self);
}

static void pin_print(const mp_print_t *print, mp_obj_t self_in, mp_print_kind_t kind) {
    (void)kind;
    mp_printf(print, "Pin(%s)", ((const struct pin *)MP_OBJ_TO_PTR(self_in))->device->name);
}

static mp_obj_t pin_call(mp_obj_t self_in, size_t n_args, size_t n_kw, const mp_obj_t *args) {
    mp_arg_check_num(n_args, n_kw, 0, 1, false);
    const struct pin *self = MP_OBJ_TO_PTR(self_in);
    if (n_args == 0) {
        return MP_OBJ_NEW_SMALL_INT(get(self->device));
    }
    set(self->device, mp_obj_is_true(args[0]));
    return mp_const_none;
}

static mp_obj_t pin_init(size_t n_args, const mp_obj_t *args, mp_map_t *kw_args) {
    return init(MP_OBJ_TO_PTR(args[0]), n_args - 1, args + 1, kw_args);
}
static MP_DEFINE_CONST_FUN_OBJ_KW(pin_init_obj, 1, pin_init);

static mp_obj_t pin_value(size_t n_args, const mp_obj_t *args) {
    return pin_call(args[0], n_args - 1, 0, args + 1);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(pin_value_obj, 1, 2, pin_value);

static mp_obj_t pin_low(mp_obj_t self) {
    set(((const struct pin *)MP_OBJ_TO_PTR(self))->device, false);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(pin_low_obj, pin_low);

static mp_obj_t pin_high(mp_obj_t self) {
    set(((const struct pin *)MP_OBJ_TO_PTR(self))->device, true);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(pin_high_obj, pin_high);

static mp_obj_t pin_toggle(mp_obj_t self) {
    const struct device *device = ((const struct pin *)MP_OBJ_TO_PTR(self))->device;
    set(device, machine_device_call(device, DEVICE_CALL_PIN_GET, PIN_OWN, 0) == 0);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(pin_toggle_obj, pin_toggle);

// ---- its interrupt ----

#if MICROPY_PY_MACHINE_EVENTS
static void arm(struct machine_irq *irq) {
    uint32_t edges = irq->handler == mp_const_none ? 0 : irq->trigger;
    machine_device_call(irq->device, DEVICE_CALL_PIN_TRIGGER, edges, 0);
}

static bool service(struct machine_irq *irq) {
    bool both = irq->trigger == (PIN_FALLING | PIN_RISING);
    irq->flags = !both ? irq->trigger : get(irq->device) ? PIN_RISING : PIN_FALLING;
    return true;
}

// Pin.irq(handler=None, trigger=IRQ_FALLING | IRQ_RISING, hard=False)
static mp_obj_t pin_irq(size_t n_args, const mp_obj_t *pos_args, mp_map_t *kw_args) {
    enum { ARG_handler, ARG_trigger, ARG_hard };
    static const mp_arg_t allowed[] = {
        { MP_QSTR_handler, MP_ARG_OBJ, {.u_rom_obj = MP_ROM_NONE} },
        { MP_QSTR_trigger, MP_ARG_INT, {.u_int = PIN_FALLING | PIN_RISING} },
        { MP_QSTR_hard, MP_ARG_BOOL, {.u_bool = false} }, // every handler is a soft one
    };
    mp_arg_val_t args[MP_ARRAY_SIZE(allowed)];
    mp_arg_parse_all(n_args - 1, pos_args + 1, kw_args, MP_ARRAY_SIZE(allowed), allowed, args);
    const struct pin *self = MP_OBJ_TO_PTR(pos_args[0]);
    struct machine_irq *irq = machine_irq_of(self->device, pos_args[0]);
    irq->service = service;
    irq->arm = arm;
    if (n_args > 1 || kw_args->used != 0) {
        irq->handler = args[ARG_handler].u_obj;
        irq->trigger = (uint32_t)args[ARG_trigger].u_int & (PIN_FALLING | PIN_RISING);
        arm(irq);
    }
    return MP_OBJ_FROM_PTR(irq);
}
static MP_DEFINE_CONST_FUN_OBJ_KW(pin_irq_obj, 1, pin_irq);
#endif

static const mp_rom_map_elem_t pin_methods_table[] = {
    { MP_ROM_QSTR(MP_QSTR_init), MP_ROM_PTR(&pin_init_obj) },
    { MP_ROM_QSTR(MP_QSTR_value), MP_ROM_PTR(&pin_value_obj) },
    { MP_ROM_QSTR(MP_QSTR_low), MP_ROM_PTR(&pin_low_obj) },
    { MP_ROM_QSTR(MP_QSTR_high), MP_ROM_PTR(&pin_high_obj) },
    { MP_ROM_QSTR(MP_QSTR_off), MP_ROM_PTR(&pin_low_obj) },
    { MP_ROM_QSTR(MP_QSTR_on), MP_ROM_PTR(&pin_high_obj) },
    { MP_ROM_QSTR(MP_QSTR_toggle), MP_ROM_PTR(&pin_toggle_obj) },
    #if MICROPY_PY_MACHINE_EVENTS
    { MP_ROM_QSTR(MP_QSTR_irq), MP_ROM_PTR(&pin_irq_obj) },
    #endif
    { MP_ROM_QSTR(MP_QSTR_IN), MP_ROM_INT(PIN_INPUT) },
    { MP_ROM_QSTR(MP_QSTR_OUT), MP_ROM_INT(PIN_OUTPUT) },
    { MP_ROM_QSTR(MP_QSTR_OPEN_DRAIN), MP_ROM_INT(PIN_OPEN_DRAIN) },
    { MP_ROM_QSTR(MP_QSTR_ALT), MP_ROM_INT(MODE_ALTERNATE) },
    { MP_ROM_QSTR(MP_QSTR_PULL_UP), MP_ROM_INT(PIN_PULL_UP) },
    { MP_ROM_QSTR(MP_QSTR_PULL_DOWN), MP_ROM_INT(PIN_PULL_DOWN) },
    { MP_ROM_QSTR(MP_QSTR_IRQ_RISING), MP_ROM_INT(PIN_RISING) },
    { MP_ROM_QSTR(MP_QSTR_IRQ_FALLING), MP_ROM_INT(PIN_FALLING) },
};
static MP_DEFINE_CONST_DICT(pin_methods, pin_methods_table);

// What Signal asks.
static mp_uint_t pin_ioctl(mp_obj_t self_in, mp_uint_t request, uintptr_t argument, int *error) {
    (void)error;
    const struct pin *self = MP_OBJ_TO_PTR(self_in);
    switch (request) {
        case MP_PIN_READ: return get(self->device);
        case MP_PIN_WRITE:
            set(self->device, argument != 0);
            return 0;
        default: return (mp_uint_t)-1;
    }
}

static const mp_pin_p_t pin_protocol = {.ioctl = pin_ioctl};

MP_DEFINE_CONST_OBJ_TYPE(machine_pin_type, MP_QSTR_Pin, MP_TYPE_FLAG_NONE, make_new, mp_pin_make_new, print, pin_print,
                         call, pin_call, protocol, &pin_protocol, locals_dict, &pin_methods);

// ---- the lines of MicroPython's software I2C and SPI: a row of the grants, or a line of a block (driver.h) ----

uint32_t mp_hal_get_pin_obj(mp_obj_t object) {
    return machine_device_number(machine_pin_of(object));
}

const char *mp_hal_pin_name(uint32_t line) {
    return line < DRIVER_LINES ? coffret_devices[line].name : "";
}

void mp_hal_pin_input(uint32_t line) {
    set_mode(&coffret_devices[line], PIN_INPUT, PIN_PULL_KEEP, PIN_RELEASED);
}

void mp_hal_pin_output(uint32_t line) {
    set_mode(&coffret_devices[line], PIN_OUTPUT, PIN_PULL_KEEP, PIN_LOW);
}

void mp_hal_pin_write(uint32_t line, int value) {
    if (line >= DRIVER_LINES) {
        driver_line_release(line, value != 0);
    } else {
        set(&coffret_devices[line], value != 0);
    }
}

int mp_hal_pin_read(uint32_t line) {
    return line >= DRIVER_LINES ? driver_line_get(line) : get(&coffret_devices[line]);
}

void mp_hal_pin_open_drain(uint32_t line) {
    if (line < DRIVER_LINES) {
        set_mode(&coffret_devices[line], PIN_OPEN_DRAIN, PIN_PULL_KEEP, PIN_RELEASED);
    }
}

#endif
