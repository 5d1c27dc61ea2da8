// SPDX-License-Identifier: Apache-2.0
// machine.Timer. Timer(-1) is a matter of when the enclave's next wait ends, so it needs no device and no grant; Timer(n)
// is a hardware timer that was granted. Both call back while the enclave waits.
#include "py/runtime.h"

#if MICROPY_PY_MACHINE_TIMER

#include "driver.h"
#include "events.h"
#include "extmod/modmachine.h"
#include "timer.h"

#define ONE_SHOT 0
#define PERIODIC 1
#define US_PER_S 1000000u
#define VIRTUAL (-1)

struct machine_timer {
    mp_obj_base_t base;
    struct machine_timer *next;     // of those that run
    const struct device *device; // NULL: virtual
    mp_obj_t callback;
    uint64_t due;
    uint64_t period;        // microseconds
    uint8_t mode;
};

static void unlink_timer(struct machine_timer *timer) {
    for (struct machine_timer **at = &MP_STATE_PORT(machine_timers); *at != NULL; at = &(*at)->next) {
        if (*at == timer) {
            *at = timer->next;
            return;
        }
    }
}

static void stop(struct machine_timer *timer) {
    if (timer->device == NULL) {
        unlink_timer(timer);
        return;
    }
    driver_timer_stop(timer->device->base);
    machine_irq_forget(timer->device);
}

static void call_back(const struct machine_timer *timer) {
    if (timer->callback != mp_const_none) {
        mp_call_function_1(timer->callback, MP_OBJ_FROM_PTR(timer));
    }
}

uint64_t machine_timers_due(void) {
    uint64_t due = UINT64_MAX;
    for (const struct machine_timer *timer = MP_STATE_PORT(machine_timers); timer != NULL; timer = timer->next) {
        due = timer->due < due ? timer->due : due;
    }
    return due;
}

bool machine_timers_serve(void) {
    uint64_t now = syscall_time();
    bool any = false;
    // A callback may stop or start timers, so each is looked for anew; one that is late gets one call for all it missed.
    for (;;) {
        struct machine_timer *timer = MP_STATE_PORT(machine_timers);
        while (timer != NULL && timer->due > now) {
            timer = timer->next;
        }
        if (timer == NULL) {
            return any;
        }
        any = true;
        if (timer->mode == ONE_SHOT) {
            unlink_timer(timer);
        } else {
            uint64_t late = now - timer->due;
            timer->due += late < timer->period ? timer->period : late + timer->period;
        }
        call_back(timer);
    }
}

static bool service(struct machine_irq *irq) {
    struct machine_timer *timer = MP_OBJ_TO_PTR(irq->parent);
    if (!driver_timer_clear(timer->device->base)) {
        return false;
    }
    if (timer->mode == ONE_SHOT) {
        stop(timer);
    }
    call_back(timer);
    return false; // there is no handler beside the callback
}

static void start(struct machine_timer *timer) {
    if (timer->device == NULL) {
        timer->due = syscall_time() + timer->period;
        timer->next = MP_STATE_PORT(machine_timers);
        MP_STATE_PORT(machine_timers) = timer;
        return;
    }
    if (timer->period > UINT32_MAX || !driver_timer_start(timer->device->base, (uint32_t)timer->period)) {
        mp_raise_ValueError(MP_ERROR_TEXT("period"));
    }
    machine_irq_of(timer->device, MP_OBJ_FROM_PTR(timer))->service = service;
}

static uint64_t period_of(mp_obj_t freq, mp_int_t period, mp_int_t tick_hz) {
    if (freq == mp_const_none) {
        if (period < 0 || tick_hz <= 0) {
            mp_raise_ValueError(MP_ERROR_TEXT("period"));
        }
        return (uint64_t)period * US_PER_S / (uint32_t)tick_hz;
    }
    #if MICROPY_PY_BUILTINS_FLOAT
    mp_float_t hz = mp_obj_get_float(freq);
    if (!(hz > 0)) {
        mp_raise_ValueError(MP_ERROR_TEXT("freq"));
    }
    return (uint64_t)(MICROPY_FLOAT_CONST(1000000.0) / hz);
    #else
    mp_int_t hz = mp_obj_get_int(freq);
    if (hz <= 0) {
        mp_raise_ValueError(MP_ERROR_TEXT("freq"));
    }
    return US_PER_S / (uint32_t)hz;
    #endif
}

static void init(struct machine_timer *self, size_t n_args, const mp_obj_t *pos_args, mp_map_t *kw_args) {
    enum { ARG_mode, ARG_callback, ARG_period, ARG_tick_hz, ARG_freq };
    static const mp_arg_t allowed[] = {
        { MP_QSTR_mode, MP_ARG_KW_ONLY | MP_ARG_INT, {.u_int = PERIODIC} },
        { MP_QSTR_callback, MP_ARG_KW_ONLY | MP_ARG_OBJ, {.u_rom_obj = MP_ROM_NONE} },
        { MP_QSTR_period, MP_ARG_KW_ONLY | MP_ARG_INT, {.u_int = -1} },
        { MP_QSTR_tick_hz, MP_ARG_KW_ONLY | MP_ARG_INT, {.u_int = 1000} },
        { MP_QSTR_freq, MP_ARG_KW_ONLY | MP_ARG_OBJ, {.u_rom_obj = MP_ROM_NONE} },
    };
    mp_arg_val_t args[MP_ARRAY_SIZE(allowed)];
    mp_arg_parse_all(n_args, pos_args, kw_args, MP_ARRAY_SIZE(allowed), allowed, args);
    stop(self);
    self->mode = (uint8_t)args[ARG_mode].u_int;
    self->callback = args[ARG_callback].u_obj;
    uint64_t period = period_of(args[ARG_freq].u_obj, args[ARG_period].u_int, args[ARG_tick_hz].u_int);
    self->period = period != 0 ? period : 1;
    start(self);
}

static mp_obj_t timer_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *args) {
    (void)type;
    mp_int_t id = VIRTUAL;
    if (n_args > 0) {
        id = mp_obj_get_int(args[0]);
        n_args--;
        args++;
    }
    const struct device *device = id == VIRTUAL ? NULL : machine_device(DEVICE_TIMER, id);
    struct machine_timer *self = mp_obj_malloc(struct machine_timer, &machine_timer_type);
    self->device = device;
    self->callback = mp_const_none;
    self->next = NULL;
    if (n_args > 0 || n_kw > 0) {
        mp_map_t kw_args;
        mp_map_init_fixed_table(&kw_args, n_kw, args + n_args);
        init(self, n_args, args, &kw_args);
    }
    return MP_OBJ_FROM_PTR(self);
}

static mp_obj_t timer_init(size_t n_args, const mp_obj_t *args, mp_map_t *kw_args) {
    init(MP_OBJ_TO_PTR(args[0]), n_args - 1, args + 1, kw_args);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_KW(timer_init_obj, 1, timer_init);

static mp_obj_t timer_deinit(mp_obj_t self) {
    stop(MP_OBJ_TO_PTR(self));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(timer_deinit_obj, timer_deinit);

static const mp_rom_map_elem_t timer_methods_table[] = {
    { MP_ROM_QSTR(MP_QSTR_init), MP_ROM_PTR(&timer_init_obj) },
    { MP_ROM_QSTR(MP_QSTR_deinit), MP_ROM_PTR(&timer_deinit_obj) },
    { MP_ROM_QSTR(MP_QSTR_ONE_SHOT), MP_ROM_INT(ONE_SHOT) },
    { MP_ROM_QSTR(MP_QSTR_PERIODIC), MP_ROM_INT(PERIODIC) },
};
static MP_DEFINE_CONST_DICT(timer_methods, timer_methods_table);

MP_DEFINE_CONST_OBJ_TYPE(
    machine_timer_type, MP_QSTR_Timer, MP_TYPE_FLAG_NONE, make_new, timer_make_new, locals_dict, &timer_methods);

MP_REGISTER_ROOT_POINTER(struct machine_timer *machine_timers);

#endif
