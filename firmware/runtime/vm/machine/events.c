// SPDX-License-Identifier: Apache-2.0
// Interrupts and timers, in the enclave's own time: the monitor turns interrupts into event bits, and a handler runs
// when its enclave waits, sleeps or idles. Never in between, so a handler may do whatever other code may do. What a
// handler raises comes out of the wait.
#include "py/runtime.h"

#if MICROPY_PY_MACHINE_EVENTS

#include "events.h"
#include "timer.h"
#include "vm.h"

#define EVENTS 24u // as many as SYS_DEVICE has bits for
#define US_PER_MS 1000u
#define FOREVER 0xFFFFFFFFu

static bool serving; // a handler that waits is not interrupted by another one

struct machine_irq *machine_irq_of(const struct device *device, mp_obj_t parent) {
    if (device->event == DEVICE_NONE) {
        mp_raise_ValueError(MP_ERROR_TEXT("it has no interrupt"));
    }
    struct machine_irq *irq = MP_STATE_PORT(machine_irqs)[device->event];
    if (irq == NULL) {
        irq = mp_obj_malloc(struct machine_irq, &machine_irq_type);
        irq->device = device;
        irq->handler = mp_const_none;
        irq->trigger = irq->flags = 0;
        irq->service = NULL;
        irq->arm = NULL;
        MP_STATE_PORT(machine_irqs)[device->event] = irq;
    }
    irq->parent = parent;
    return irq;
}

void machine_irq_forget(const struct device *device) {
    if (device->event != DEVICE_NONE) {
        MP_STATE_PORT(machine_irqs)[device->event] = NULL;
    }
}

static bool has_events(void) {
    return (vm_self->calls & 1u << SYS_DEVICE) != 0;
}

static uint32_t listened_to(void) {
    uint32_t mask = 0;
    for (uint32_t event = 0; event < EVENTS; event++) {
        mask |= MP_STATE_PORT(machine_irqs)[event] != NULL ? 1u << event : 0u;
    }
    return mask;
}

static void serve_event(struct machine_irq *irq) {
    bool wanted = irq->service == NULL || irq->service(irq);
    if (irq->arm != NULL) {
        irq->arm(irq); // before the handler: what happens meanwhile is the next event
    }
    if (wanted && irq->handler != mp_const_none) {
        mp_call_function_1(irq->handler, irq->parent);
    }
}

// Whether there was anything to serve.
static bool serve_all(void) {
    uint32_t events = has_events() ? (uint32_t)syscall3(SYS_DEVICE, DEVICE_CALL_EVENTS, 0, 0) : 0;
    for (uint32_t event = 0; event < EVENTS; event++) {
        struct machine_irq *irq = MP_STATE_PORT(machine_irqs)[event];
        if ((events & 1u << event) != 0 && irq != NULL) {
            serve_event(irq);
        }
    }
    return machine_timers_serve() || events != 0;
}

bool vm_serve(void) {
    nlr_buf_t nlr;
    if (serving) {
        return false;
    }
    serving = true;
    if (nlr_push(&nlr) != 0) {
        serving = false;
        nlr_jump(nlr.ret_val);
    }
    bool any = serve_all();
    nlr_pop();
    serving = false;
    return any;
}

// Waits, then serves. What comes before it waits ends the wait at once.
static uint32_t wait_and_serve(uint32_t channels, uint64_t until) {
    uint64_t now = syscall_time();
    uint64_t due = serving ? UINT64_MAX : machine_timers_due();
    uint64_t end = due < until ? due : until;
    uint64_t ms = end <= now ? 0 : (end - now + US_PER_MS - 1) / US_PER_MS;
    // The largest value would mean for ever; who waits longer waits again.
    uint32_t timeout = end == UINT64_MAX ? FOREVER : ms < FOREVER ? (uint32_t)ms : FOREVER - 1;
    uint32_t ready;
    if (has_events()) {
        ready = (uint32_t)syscall3(SYS_DEVICE, DEVICE_CALL_WAIT | listened_to() << 8, channels, timeout);
    } else {
        ready = (uint32_t)syscall3(SYS_WAIT, channels, timeout, 0);
    }
    vm_serve();
    return ready;
}

uint32_t machine_pause(uint32_t channels, uint64_t until) {
    vm_serve();
    return wait_and_serve(channels, until);
}

static uint64_t end_of(uint32_t timeout_ms) {
    return timeout_ms == FOREVER ? UINT64_MAX : syscall_time() + (uint64_t)timeout_ms * US_PER_MS;
}

uint32_t vm_pause(uint32_t channels, uint32_t timeout_ms) {
    return wait_and_serve(channels, end_of(timeout_ms));
}

uint32_t vm_wait(uint32_t channels, uint32_t timeout_ms) {
    uint64_t until = end_of(timeout_ms);
    for (;;) {
        uint32_t ready = machine_pause(channels, until);
        if (ready != 0 || syscall_time() >= until) {
            return ready;
        }
    }
}

// ---- what irq() gives ----

static mp_obj_t irq_flags(mp_obj_t self_in) {
    const struct machine_irq *self = MP_OBJ_TO_PTR(self_in);
    return MP_OBJ_NEW_SMALL_INT(self->flags);
}
static MP_DEFINE_CONST_FUN_OBJ_1(irq_flags_obj, irq_flags);

static mp_obj_t irq_trigger(size_t n_args, const mp_obj_t *args) {
    struct machine_irq *self = MP_OBJ_TO_PTR(args[0]);
    uint32_t before = self->trigger;
    if (n_args == 2) {
        self->trigger = (uint32_t)mp_obj_get_int(args[1]);
        if (self->arm != NULL) {
            self->arm(self);
        }
    }
    return MP_OBJ_NEW_SMALL_INT(before);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(irq_trigger_obj, 1, 2, irq_trigger);

static mp_obj_t irq_call(mp_obj_t self_in, size_t n_args, size_t n_kw, const mp_obj_t *args) {
    mp_arg_check_num(n_args, n_kw, 0, 0, false);
    const struct machine_irq *self = MP_OBJ_TO_PTR(self_in);
    if (self->handler != mp_const_none) {
        mp_call_function_1(self->handler, self->parent);
    }
    return mp_const_none;
}

static const mp_rom_map_elem_t irq_methods_table[] = {
    { MP_ROM_QSTR(MP_QSTR_flags), MP_ROM_PTR(&irq_flags_obj) },
    { MP_ROM_QSTR(MP_QSTR_trigger), MP_ROM_PTR(&irq_trigger_obj) },
};
static MP_DEFINE_CONST_DICT(irq_methods, irq_methods_table);

MP_DEFINE_CONST_OBJ_TYPE(machine_irq_type, MP_QSTR_irq, MP_TYPE_FLAG_NONE, call, irq_call, locals_dict, &irq_methods);

MP_REGISTER_ROOT_POINTER(struct machine_irq *machine_irqs[24]);

#endif
