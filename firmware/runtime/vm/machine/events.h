// SPDX-License-Identifier: Apache-2.0
// Devices of the running enclave, and what it does when one of them has news.
#ifndef COFFRET_MACHINE_EVENTS_H
#define COFFRET_MACHINE_EVENTS_H

#include "coffret/syscall.h"
#include "coffret/tables.h"
#include "py/obj.h"

// The enclave's device of that kind and number. Raises ValueError when it was granted none.
const struct device *machine_device(enum device_kind kind, mp_int_t id);
// Its row in coffret_devices.
uint32_t machine_device_number(const struct device *device);
// SYS_DEVICE on a device of its own; raises OSError for an error.
int32_t machine_device_call(const struct device *device, enum device_call call, uint32_t b, uint32_t c);

// A pin: its device, from an object or whatever Pin() takes.
const struct device *machine_pin_of(mp_obj_t object);
// Gives a bus its pin: `pin` if it is not None, else the usual one. `role`: which of the bus's pins.
void machine_route(const struct device *bus, unsigned role, mp_obj_t pin);

// What serves one event. `service` runs first (take the bytes, say what happened); the handler only if it returns true.
struct machine_irq {
    mp_obj_base_t base;
    const struct device *device;
    mp_obj_t parent;
    mp_obj_t handler;
    uint32_t trigger;
    uint32_t flags;                       // of the last event
    bool (*service)(struct machine_irq *irq);
    void (*arm)(struct machine_irq *irq); // NULL: the next wait listens
};

extern const mp_obj_type_t machine_irq_type;

// The irq object of a device, made at the first call.
struct machine_irq *machine_irq_of(const struct device *device, mp_obj_t parent);
// Nobody listens to it any more.
void machine_irq_forget(const struct device *device);

// One wait: until a channel is readable, an event or a timer was served, or it is `until` (microseconds).
uint32_t machine_pause(uint32_t channels, uint64_t until);

#endif
