// SPDX-License-Identifier: Apache-2.0
// The port's part of the `machine` module; extmod/modmachine.c includes it. What an enclave may touch is decided by the
// monitor and its memory protection, not here (docs/machine.md).
#include "coffret/syscall.h"
#include "py/mphal.h"
#include "vm.h"
#if MICROPY_PY_MACHINE_BARE_METAL_FUNCS
#include "board_config.h"
#include "machine/events.h"
#endif

static void mp_machine_idle(void) {
    #if MICROPY_PY_MACHINE_EVENTS
    vm_wait(0, 0); // handlers have their turn
    #endif
    syscall3(SYS_YIELD, 0, 0, 0);
}

#if MICROPY_PY_MACHINE_BARE_METAL_FUNCS
static mp_obj_t mp_machine_unique_id(void) {
    uint8_t id[DEVICE_IDENTITY_SIZE];
    machine_device_call(machine_device(DEVICE_IDENTITY, 0), DEVICE_CALL_IDENTITY, (uint32_t)id, sizeof id);
    return mp_obj_new_bytes(id, sizeof id);
}

static mp_obj_t mp_machine_get_freq(void) {
    return mp_obj_new_int_from_uint(BOARD_CLOCK_HZ);
}

static void mp_machine_set_freq(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    (void)args;
    mp_raise_NotImplementedError(MP_ERROR_TEXT("the clock is fixed"));
}

// Power is the board's: an enclave only sleeps.
static void mp_machine_lightsleep(size_t n_args, const mp_obj_t *args) {
    mp_hal_delay_ms(n_args == 0 ? 0xFFFFFFFFu : (mp_uint_t)mp_obj_get_int(args[0]));
}

NORETURN static void mp_machine_deepsleep(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    (void)args;
    mp_raise_NotImplementedError(NULL);
}
#endif

#if MICROPY_PY_MACHINE_PIN
#define MACHINE_PIN_ENTRY { MP_ROM_QSTR(MP_QSTR_Pin), MP_ROM_PTR(&machine_pin_type) },
#else
#define MACHINE_PIN_ENTRY
#endif
#if MICROPY_PY_MACHINE_TIMER
#define MACHINE_TIMER_ENTRY { MP_ROM_QSTR(MP_QSTR_Timer), MP_ROM_PTR(&machine_timer_type) },
#else
#define MACHINE_TIMER_ENTRY
#endif
#define MICROPY_PY_MACHINE_EXTRA_GLOBALS MACHINE_PIN_ENTRY MACHINE_TIMER_ENTRY
