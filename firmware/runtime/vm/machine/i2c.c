// SPDX-License-Identifier: Apache-2.0
// machine.I2C: MicroPython's class around the family's driver.
#include "py/mperrno.h"
#include "py/runtime.h"

#if MICROPY_PY_MACHINE_I2C

#include "driver.h"
#include "events.h"
#include "extmod/modmachine.h"

#define ROLE_SCL 0 // the order of board.toml
#define ROLE_SDA 1

struct i2c {
    mp_obj_base_t base;
    const struct device *device;
    struct driver_i2c bus;
};

static void start(struct i2c *self, size_t n_args, const mp_obj_t *pos_args, mp_map_t *kw_args) {
    enum { ARG_freq, ARG_scl, ARG_sda, ARG_timeout };
    static const mp_arg_t allowed[] = {
        { MP_QSTR_freq, MP_ARG_INT, {.u_int = 400000} },
        { MP_QSTR_scl, MP_ARG_KW_ONLY | MP_ARG_OBJ, {.u_rom_obj = MP_ROM_NONE} },
        { MP_QSTR_sda, MP_ARG_KW_ONLY | MP_ARG_OBJ, {.u_rom_obj = MP_ROM_NONE} },
        { MP_QSTR_timeout, MP_ARG_KW_ONLY | MP_ARG_INT, {.u_int = 50000} },
    };
    mp_arg_val_t args[MP_ARRAY_SIZE(allowed)];
    mp_arg_parse_all(n_args, pos_args, kw_args, MP_ARRAY_SIZE(allowed), allowed, args);
    if (args[ARG_freq].u_int <= 0 || args[ARG_timeout].u_int < 0) {
        mp_raise_ValueError(MP_ERROR_TEXT("freq"));
    }
    machine_route(self->device, ROLE_SCL, args[ARG_scl].u_obj);
    machine_route(self->device, ROLE_SDA, args[ARG_sda].u_obj);
    self->bus.hz = (uint32_t)args[ARG_freq].u_int;
    self->bus.timeout_us = (uint32_t)args[ARG_timeout].u_int;
    int error = driver_i2c_start(&self->bus);
    if (error < 0) {
        mp_raise_OSError(-error);
    }
}

static mp_obj_t i2c_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *args) {
    mp_arg_check_num(n_args, n_kw, 1, MP_OBJ_FUN_ARGS_MAX, true);
    const struct device *device = machine_device(DEVICE_I2C, mp_obj_get_int(args[0]));
    struct i2c *self = mp_obj_malloc(struct i2c, type);
    self->device = device;
    self->bus.base = device->base;
    mp_map_t kw_args;
    mp_map_init_fixed_table(&kw_args, n_kw, args + n_args);
    start(self, n_args - 1, args + 1, &kw_args);
    return MP_OBJ_FROM_PTR(self);
}

static void i2c_init(mp_obj_base_t *self, size_t n_args, const mp_obj_t *pos_args, mp_map_t *kw_args) {
    start((struct i2c *)self, n_args, pos_args, kw_args);
}

static int i2c_transfer(mp_obj_base_t *self_in, uint16_t address, size_t length, uint8_t *data, unsigned int flags) {
    struct i2c *self = (struct i2c *)self_in;
    bool read = (flags & MP_MACHINE_I2C_FLAG_READ) != 0;
    return driver_i2c_transfer(&self->bus, address, data, length, read, (flags & MP_MACHINE_I2C_FLAG_STOP) != 0);
}

static void i2c_print(const mp_print_t *print, mp_obj_t self_in, mp_print_kind_t kind) {
    (void)kind;
    const struct i2c *self = MP_OBJ_TO_PTR(self_in);
    mp_printf(print, "I2C(%u, freq=%u)", self->device->id, (unsigned)self->bus.hz);
}

static const mp_machine_i2c_p_t i2c_protocol = {
    .init = i2c_init,
    .transfer = mp_machine_i2c_transfer_adaptor,
    .transfer_single = i2c_transfer,
};

MP_DEFINE_CONST_OBJ_TYPE(machine_i2c_type, MP_QSTR_I2C, MP_TYPE_FLAG_NONE, make_new, i2c_make_new, print, i2c_print,
                         protocol, &i2c_protocol, locals_dict, &mp_machine_i2c_locals_dict);

#endif
