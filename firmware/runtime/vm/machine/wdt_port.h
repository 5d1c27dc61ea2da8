// SPDX-License-Identifier: Apache-2.0
// The port's part of machine.WDT; extmod/machine_wdt.c includes it. An enclave that does not feed its watchdog is ended
// by the monitor like one that faulted: scrubbed, and started again as its restart policy says. Others do not notice.
#include "events.h"

struct _machine_wdt_obj_t {
    mp_obj_base_t base;
    const struct device *device;
};

static void mp_machine_wdt_timeout_ms_set(machine_wdt_obj_t *self, mp_int_t timeout_ms) {
    if (timeout_ms < 1) {
        mp_raise_ValueError(MP_ERROR_TEXT("timeout"));
    }
    machine_device_call(self->device, DEVICE_CALL_WATCHDOG, (uint32_t)timeout_ms, 0);
}

static machine_wdt_obj_t *mp_machine_wdt_make_new_instance(mp_int_t id, mp_int_t timeout_ms) {
    const struct device *device = machine_device(DEVICE_WATCHDOG, id);
    machine_wdt_obj_t *self = mp_obj_malloc(machine_wdt_obj_t, &machine_wdt_type);
    self->device = device;
    mp_machine_wdt_timeout_ms_set(self, timeout_ms);
    return self;
}

static void mp_machine_wdt_feed(machine_wdt_obj_t *self) {
    machine_device_call(self->device, DEVICE_CALL_WATCHDOG, 0, 0);
}
