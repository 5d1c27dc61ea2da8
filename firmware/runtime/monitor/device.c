// SPDX-License-Identifier: Apache-2.0
// What an enclave cannot do with its devices itself: pins, whose registers all enclaves' pins share, interrupts, which
// become events that it waits for, and its watchdog. In an image only if somebody was granted a device.
//
// An interrupt is off from the moment it came until its enclave asks for the next one, so whatever a device or the
// world outside does, it costs the others one interrupt for each call its owner has the time to make.
#include "monitor.h"

#if COFFRET_HAS_DEVICES // a board without pins has none of what this calls

#include <string.h>

#include "coffret/pins.h"
#include "coffret/store.h"

static const struct device *device_of(uint8_t task, uint32_t number) {
    bool own = number < coffret_counts.devices && coffret_devices[number].task == task;
    return own ? &coffret_devices[number] : NULL;
}

static bool raises_interrupt(const struct device *device) {
    return device->irq != DEVICE_NO_IRQ && device->kind != DEVICE_PIN;
}

static int32_t wait(uint8_t task, uint32_t listen, uint32_t channels, uint32_t timeout_ms) {
    uint32_t wanted = listen & ~coffret_device_states[task].events;
    for (uint32_t number = 0; number < coffret_counts.devices; number++) {
        const struct device *device = &coffret_devices[number];
        if (device->task != task || !raises_interrupt(device)) {
            continue;
        }
        if ((wanted & 1u << device->event) != 0) {
            core_interrupt_enable(device->irq);
        } else {
            core_interrupt_disable(device->irq);
        }
    }
    if (coffret_device_states[task].events != 0) {
        return (int32_t)channels_readable(task, channels);
    }
    return channels_wait(task, channels, timeout_ms);
}

static int32_t take_events(uint8_t task) {
    uint32_t events = coffret_device_states[task].events;
    coffret_device_states[task].events = 0;
    return (int32_t)events;
}

bool device_interrupt(uint32_t irq) {
    bool somebodys = false;
    for (uint32_t number = 0; number < coffret_counts.devices; number++) {
        const struct device *device = &coffret_devices[number];
        if (device->irq != irq) {
            continue;
        }
        somebodys = true;
        if (device->kind != DEVICE_PIN) {
            core_interrupt_disable(irq);
        } else if (!board_pin_fired(device->id)) {
            continue;
        }
        coffret_device_states[device->task].events |= 1u << device->event;
        finish_wait(device->task, WAIT_CHANNELS, 0);
    }
    return somebodys;
}

static int32_t pin_trigger(const struct device *device, uint32_t edges) {
    if (device->irq == DEVICE_NO_IRQ || !board_pin_trigger(device->id, edges)) {
        return ERR_NOT_FOUND;
    }
    core_interrupt_enable(device->irq);
    return 0;
}

static int32_t pin_function(const struct device *device, uint32_t function) {
    if (function >= 32u || (device->functions & 1u << function) == 0) {
        return ERR_DENIED; // it would show, or take, what is another enclave's
    }
    board_pin_function(device->id, function);
    return 0;
}

static int32_t pin_call(const struct device *device, enum device_call call, uint32_t b, uint32_t c) {
    switch (call) {
        case DEVICE_CALL_PIN_MODE: {
            enum pin_level level = c > PIN_RELEASED ? PIN_RELEASED : (enum pin_level)c;
            enum pin_pull pull = (enum pin_pull)(b >> 8 & 7u);
            bool known = (b & 0xFFu) <= PIN_OPEN_DRAIN;
            return known && board_pin_mode(device->id, (enum pin_mode)(b & 0xFFu), pull, level) ? 0 : ERR_NOT_FOUND;
        }
        case DEVICE_CALL_PIN_GET: return b == PIN_OWN ? board_pin_output(device->id) : board_pin_get(device->id);
        case DEVICE_CALL_PIN_SET:
            board_pin_set(device->id, b > PIN_RELEASED ? PIN_RELEASED : (enum pin_level)b);
            return 0;
        case DEVICE_CALL_PIN_TRIGGER: return pin_trigger(device, b);
        case DEVICE_CALL_PIN_FUNCTION: return pin_function(device, b);
        default: return ERR_NOT_FOUND;
    }
}

static int32_t watchdog(uint8_t task, uint32_t timeout_ms) {
    struct device_state *state = &coffret_device_states[task];
    if (timeout_ms != 0) {
        state->watchdog_ms = timeout_ms < WATCHDOG_MAX_MS ? timeout_ms : WATCHDOG_MAX_MS;
    }
    state->watchdog_at = monitor_now() + (uint64_t)state->watchdog_ms * US_PER_MS;
    return 0;
}

static int32_t identity(uint8_t task, uint32_t to, uint32_t capacity) {
    if (capacity < DEVICE_IDENTITY_SIZE) {
        return ERR_SIZE;
    }
    if (!may_write(task_of(task), to, DEVICE_IDENTITY_SIZE)) {
        return ERR_POINTER;
    }
    memcpy((void *)to, __handoff.identity.instance_id + 1, DEVICE_IDENTITY_SIZE); // the first byte is the same for all
    return (int32_t)DEVICE_IDENTITY_SIZE;
}

static int32_t settings(uint8_t task, uint32_t to, uint32_t capacity) {
    if (!may_write(task_of(task), to, capacity)) {
        return ERR_POINTER;
    }
    int32_t length = storage_get(STORE_BOARD_SETTINGS, (void *)to, capacity);
    return length == ERR_NOT_FOUND ? 0 : length;
}

int32_t device_call(uint8_t task, uint32_t a, uint32_t b, uint32_t c) {
    enum device_call call = (enum device_call)(a & 0xFFu);
    if (call == DEVICE_CALL_WAIT) {
        return wait(task, a >> 8, b, c);
    }
    if (call == DEVICE_CALL_EVENTS) {
        return take_events(task);
    }
    const struct device *device = device_of(task, a >> 8);
    if (device == NULL) {
        return ERR_DENIED;
    }
    switch (device->kind) {
        case DEVICE_PIN: return pin_call(device, call, b, c);
        case DEVICE_WATCHDOG: return call == DEVICE_CALL_WATCHDOG ? watchdog(task, b) : ERR_NOT_FOUND;
        case DEVICE_IDENTITY: return call == DEVICE_CALL_IDENTITY ? identity(task, b, c) : ERR_NOT_FOUND;
        case DEVICE_SETTINGS: return COFFRET_HAS_SETTINGS && call == DEVICE_CALL_SETTINGS ? settings(task, b, c) : ERR_NOT_FOUND;
        default: return ERR_NOT_FOUND; // the enclave drives it itself
    }
}

void device_reset(uint8_t task) {
    for (uint32_t number = 0; number < coffret_counts.devices; number++) {
        const struct device *device = &coffret_devices[number];
        if (device->task != task) {
            continue;
        }
        if (raises_interrupt(device)) {
            core_interrupt_disable(device->irq);
        }
        if (device->kind == DEVICE_PIN) {
            (void)board_pin_trigger(device->id, 0);
            (void)board_pin_mode(device->id, PIN_INPUT, PIN_PULL_NONE, PIN_RELEASED);
            board_pin_function(device->id, device->function);
        } else if (device->base != 0) {
            board_device_reset(device);
        }
    }
    coffret_device_states[task] = (struct device_state){0};
}

void device_tick(void) {
    for (uint8_t task = 0; task < coffret_counts.tasks; task++) {
        const struct device_state *state = &coffret_device_states[task];
        if (state->watchdog_ms != 0 && state->watchdog_at <= monitor_now()) {
            task_end(task, END_FAULT, FAULT_WATCHDOG, 0); // its reset switches the watchdog off
        }
    }
}
#endif
