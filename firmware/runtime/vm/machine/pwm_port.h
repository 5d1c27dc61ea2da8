// SPDX-License-Identifier: Apache-2.0
// The port's part of machine.PWM; extmod/machine_pwm.c includes it. The counters are the enclave's (device `pwm0`), what
// a pin shows is the monitor's: it lets the pin show its counter only if the enclave has both.
#include "driver.h"
#include "events.h"
#include "py/mphal.h"

#define PWM_BLOCK 0
#define FULL_DUTY 65535u
#define NS_PER_S 1000000000u
#define KEEP (-1)

struct _machine_pwm_obj_t {
    mp_obj_base_t base;
    const struct device *device;
    const struct device *pin;
    uint32_t duty;      // of FULL_DUTY, or nanoseconds
    uint8_t in_ns;
    uint8_t invert;
};

static uint32_t pwm_steps_high(const machine_pwm_obj_t *self) {
    uint32_t steps = driver_pwm_steps(self->device->base, self->pin->id);
    if (!self->in_ns) {
        return (self->duty * steps + FULL_DUTY / 2u) / FULL_DUTY;
    }
    uint64_t steps_a_second = (uint64_t)driver_pwm_hz(self->device->base, self->pin->id) * steps;
    uint64_t high = (self->duty * steps_a_second + NS_PER_S / 2u) / NS_PER_S;
    return high > steps ? steps : (uint32_t)high;
}

static void pwm_apply(const machine_pwm_obj_t *self) {
    driver_pwm_set(self->device->base, self->pin->id, pwm_steps_high(self), self->invert != 0);
}

static void mp_machine_pwm_freq_set(machine_pwm_obj_t *self, mp_int_t freq) {
    if (freq <= 0 || driver_pwm_start(self->device->base, self->pin->id, (uint32_t)freq) == 0) {
        mp_raise_ValueError(MP_ERROR_TEXT("freq"));
    }
    pwm_apply(self);
}

static void mp_machine_pwm_duty_set_u16(machine_pwm_obj_t *self, mp_int_t duty) {
    self->duty = duty < 0 ? 0 : duty > (mp_int_t)FULL_DUTY ? FULL_DUTY : (uint32_t)duty;
    self->in_ns = 0;
    pwm_apply(self);
}

static void mp_machine_pwm_duty_set_ns(machine_pwm_obj_t *self, mp_int_t duty) {
    self->duty = duty < 0 ? 0 : (uint32_t)duty;
    self->in_ns = 1;
    pwm_apply(self);
}

static void mp_machine_pwm_init_helper(machine_pwm_obj_t *self, size_t n_args, const mp_obj_t *pos_args, mp_map_t *kw_args) {
    enum { ARG_freq, ARG_duty_u16, ARG_duty_ns, ARG_invert };
    static const mp_arg_t allowed[] = {
        { MP_QSTR_freq, MP_ARG_INT, {.u_int = KEEP} },
        { MP_QSTR_duty_u16, MP_ARG_KW_ONLY | MP_ARG_INT, {.u_int = KEEP} },
        { MP_QSTR_duty_ns, MP_ARG_KW_ONLY | MP_ARG_INT, {.u_int = KEEP} },
        { MP_QSTR_invert, MP_ARG_KW_ONLY | MP_ARG_INT, {.u_int = KEEP} },
    };
    mp_arg_val_t args[MP_ARRAY_SIZE(allowed)];
    mp_arg_parse_all(n_args, pos_args, kw_args, MP_ARRAY_SIZE(allowed), allowed, args);
    if (args[ARG_invert].u_int != KEEP) {
        self->invert = args[ARG_invert].u_int != 0;
    }
    if (args[ARG_freq].u_int != KEEP) {
        mp_machine_pwm_freq_set(self, args[ARG_freq].u_int);
    }
    if (args[ARG_duty_u16].u_int != KEEP) {
        mp_machine_pwm_duty_set_u16(self, args[ARG_duty_u16].u_int);
    }
    if (args[ARG_duty_ns].u_int != KEEP) {
        mp_machine_pwm_duty_set_ns(self, args[ARG_duty_ns].u_int);
    }
}

static mp_obj_t mp_machine_pwm_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *args) {
    mp_arg_check_num(n_args, n_kw, 1, MP_OBJ_FUN_ARGS_MAX, true);
    const struct device *pin = machine_pin_of(args[0]);
    const struct device *device = machine_device(DEVICE_PWM, PWM_BLOCK);
    machine_pwm_obj_t *self = mp_obj_malloc(machine_pwm_obj_t, type);
    *self = (machine_pwm_obj_t){.base = self->base, .device = device, .pin = pin};
    mp_map_t kw_args;
    mp_map_init_fixed_table(&kw_args, n_kw, args + n_args);
    mp_machine_pwm_init_helper(self, n_args - 1, args + 1, &kw_args);
    machine_device_call(pin, DEVICE_CALL_PIN_FUNCTION, device->function, 0);
    return MP_OBJ_FROM_PTR(self);
}

static void mp_machine_pwm_print(const mp_print_t *print, mp_obj_t self_in, mp_print_kind_t kind) {
    (void)kind;
    mp_printf(print, "PWM(%s)", ((const machine_pwm_obj_t *)MP_OBJ_TO_PTR(self_in))->pin->name);
}

static void mp_machine_pwm_deinit(machine_pwm_obj_t *self) {
    driver_pwm_stop(self->device->base, self->pin->id);
}

static mp_obj_t mp_machine_pwm_freq_get(machine_pwm_obj_t *self) {
    return MP_OBJ_NEW_SMALL_INT(driver_pwm_hz(self->device->base, self->pin->id));
}

static mp_obj_t mp_machine_pwm_duty_get_u16(machine_pwm_obj_t *self) {
    uint32_t steps = driver_pwm_steps(self->device->base, self->pin->id);
    uint32_t high = pwm_steps_high(self);
    return MP_OBJ_NEW_SMALL_INT(self->in_ns ? (high * FULL_DUTY + steps / 2u) / steps : self->duty);
}

static mp_obj_t mp_machine_pwm_duty_get_ns(machine_pwm_obj_t *self) {
    if (self->in_ns) {
        return mp_obj_new_int_from_uint(self->duty);
    }
    uint32_t steps = driver_pwm_steps(self->device->base, self->pin->id);
    uint32_t hz = driver_pwm_hz(self->device->base, self->pin->id);
    uint64_t steps_a_second = (uint64_t)hz * steps;
    uint64_t ns = steps_a_second == 0 ? 0 : ((uint64_t)pwm_steps_high(self) * NS_PER_S + steps_a_second / 2u) / steps_a_second;
    return mp_obj_new_int_from_uint((mp_uint_t)ns);
}
