// SPDX-License-Identifier: Apache-2.0
// Which devices the running enclave was granted: rows of a const table of the image. The monitor asks the same table
// again at each call.
#include "py/mperrno.h"
#include "py/runtime.h"

#if MICROPY_PY_MACHINE

#include "events.h"
#include "vm.h"

const struct device *machine_device(enum device_kind kind, mp_int_t id) {
    uint32_t self = (uint32_t)(vm_self - coffret_tasks);
    for (uint32_t number = 0; number < coffret_counts.devices; number++) {
        const struct device *device = &coffret_devices[number];
        if (device->task == self && device->kind == kind && device->id == id) {
            return device;
        }
    }
    static const char *const names[] = {"pin", "UART", "GPIO", "I2C", "SPI", "ADC", "PWM", "Timer", "RNG", "WDT", "unique_id", "settings"};
    mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("%s %d is not granted to this enclave"), names[kind], (int)id);
}

uint32_t machine_device_number(const struct device *device) {
    return (uint32_t)(device - coffret_devices);
}

int32_t machine_device_call(const struct device *device, enum device_call call, uint32_t b, uint32_t c) {
    int32_t result = syscall3(SYS_DEVICE, (uint32_t)call | machine_device_number(device) << 8, b, c);
    if (result == ERR_NOT_FOUND) {
        mp_raise_ValueError(MP_ERROR_TEXT("it cannot do that"));
    }
    if (result < 0) {
        mp_raise_OSError(result == ERR_DENIED ? MP_EACCES : MP_EIO);
    }
    return result;
}

#endif
