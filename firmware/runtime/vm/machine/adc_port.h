// SPDX-License-Identifier: Apache-2.0
// The port's part of machine.ADC; extmod/machine_adc.c includes it. An ADC is one block: whoever has it, has all inputs.
#include "board_config.h"
#include "driver.h"
#include "events.h"
#include "py/mphal.h"

#define ADC_BLOCK 0

struct _machine_adc_obj_t {
    mp_obj_base_t base;
    const struct device *device;
    uint32_t channel;
};

static void mp_machine_adc_print(const mp_print_t *print, mp_obj_t self_in, mp_print_kind_t kind) {
    (void)kind;
    mp_printf(print, "ADC(%u)", (unsigned)((const machine_adc_obj_t *)MP_OBJ_TO_PTR(self_in))->channel);
}

// ADC(channel), ADC(pin)
static mp_obj_t mp_machine_adc_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *args) {
    mp_arg_check_num(n_args, n_kw, 1, 1, false);
    const struct device *device = machine_device(DEVICE_ADC, ADC_BLOCK);
    bool is_pin = !mp_obj_is_int(args[0]);
    uint32_t number = is_pin ? machine_pin_of(args[0])->id : (uint32_t)mp_obj_get_int(args[0]);
    int channel = driver_adc_channel(number, is_pin);
    if (channel < 0) {
        mp_raise_ValueError(MP_ERROR_TEXT("no such input"));
    }
    machine_adc_obj_t *self = mp_obj_malloc(machine_adc_obj_t, type);
    self->device = device;
    self->channel = (uint32_t)channel;
    driver_adc_start(self->device->base);
    return MP_OBJ_FROM_PTR(self);
}

static mp_int_t mp_machine_adc_read_u16(machine_adc_obj_t *self) {
    return driver_adc_read(self->device->base, self->channel);
}

#ifdef BOARD_ADC_TEMPERATURE
#define MICROPY_PY_MACHINE_ADC_CLASS_CONSTANTS \
    { MP_ROM_QSTR(MP_QSTR_CORE_TEMP), MP_ROM_INT(BOARD_ADC_TEMPERATURE) },
#else
#define MICROPY_PY_MACHINE_ADC_CLASS_CONSTANTS
#endif
