// SPDX-License-Identifier: Apache-2.0
// The `enclave` module: an enclave's channels by the names of the manifest.
//
//   send(to, data) -> bool            False: the queue is full
//   release(gate, data) -> bool       through a gate that removes secrecy; False: queue full or budget used up
//   vouch(gate, data) -> bool         through a gate that adds integrity
//   receive(frm, timeout_ms=None) -> bytes, or None after the timeout
//   receive_into(frm, buffer, timeout_ms=None) -> length, or None
//   wait(frms, timeout_ms=None) -> the first name with a message waiting, or None
//   name() -> this enclave's name
//
// Names are looked up in the image's const tables; the monitor checks every use again.
#include <string.h>

#include "coffret/syscall.h"
#include "coffret/tables.h"
#include "py/mperrno.h"
#include "py/runtime.h"
#include "vm.h"

#if MICROPY_PY_ENCLAVE

#define FOREVER 0xFFFFFFFFu
#define CHANNELS_PER_WAIT 32u // bits of SYS_WAIT's mask

enum end { SENDER, RECEIVER };

static uint32_t own_number(void) {
    return (uint32_t)(vm_self - coffret_tasks);
}

static bool is_mine(const struct channel *channel, enum end end) {
    return (end == SENDER ? channel->from : channel->to) == own_number();
}

// Number of my channel of that name. A gate's channel is reached by release() and vouch() only, so that the
// lines which use a privilege can be found by their verb.
static uint32_t find_channel(mp_obj_t name_in, enum end end, bool gate) {
    const char *name = mp_obj_str_get_str(name_in);
    for (uint32_t number = 0; number < coffret_counts.channels; number++) {
        const struct channel *channel = &coffret_channels[number];
        bool through_gate = end == SENDER && channel->gate != CHANNEL_NO_GATE;
        const char *known = end == SENDER ? channel->name : channel->from_name;
        if (is_mine(channel, end) && through_gate == gate && strcmp(known, name) == 0) {
            return number;
        }
    }
    mp_raise_ValueError(MP_ERROR_TEXT("no such channel"));
}

static _Noreturn void raise_error(int32_t error) {
    switch (error) {
        case ERR_SIZE:
            mp_raise_ValueError(MP_ERROR_TEXT("message size"));
        case ERR_DENIED:
            mp_raise_OSError(MP_EPERM);
        case ERR_POINTER:
            mp_raise_OSError(MP_EFAULT);
        default:
            mp_raise_OSError(MP_EIO);
    }
}

static mp_obj_t send_on(uint32_t channel, mp_obj_t data) {
    mp_buffer_info_t buffer;
    mp_get_buffer_raise(data, &buffer, MP_BUFFER_READ);
    int32_t result = syscall3(SYS_SEND, channel, (uint32_t)buffer.buf, buffer.len);
    if (result == ERR_FULL || result == ERR_BUDGET) {
        return mp_const_false;
    }
    if (result < 0) {
        raise_error(result);
    }
    return mp_const_true;
}

static mp_obj_t enclave_send(mp_obj_t to, mp_obj_t data) {
    return send_on(find_channel(to, SENDER, false), data);
}
static MP_DEFINE_CONST_FUN_OBJ_2(enclave_send_obj, enclave_send);

static mp_obj_t enclave_pass_gate(mp_obj_t gate, mp_obj_t data) {
    return send_on(find_channel(gate, SENDER, true), data);
}
static MP_DEFINE_CONST_FUN_OBJ_2(enclave_pass_gate_obj, enclave_pass_gate);

static uint32_t timeout_of(size_t n_args, const mp_obj_t *args, size_t position) {
    if (n_args <= position || args[position] == mp_const_none) {
        return FOREVER;
    }
    mp_int_t ms = mp_obj_get_int(args[position]);
    return ms > 0 ? (uint32_t)ms : 0;
}

// Length of the message, or -1 after the timeout.
static int32_t receive_on(uint32_t channel, void *to, size_t capacity, uint32_t timeout) {
    for (;;) {
        int32_t result = syscall3(SYS_RECEIVE, channel, (uint32_t)to, capacity);
        if (result >= 0) {
            return result;
        }
        if (result != ERR_EMPTY) {
            raise_error(result);
        }
        if (timeout == 0 || syscall3(SYS_WAIT, 1u << channel, timeout, 0) == 0) {
            return -1;
        }
    }
}

static mp_obj_t enclave_receive(size_t n_args, const mp_obj_t *args) {
    uint32_t channel = find_channel(args[0], RECEIVER, false);
    vstr_t message;
    vstr_init_len(&message, coffret_channels[channel].max_size);
    int32_t length = receive_on(channel, message.buf, message.len, timeout_of(n_args, args, 1));
    if (length < 0) {
        vstr_clear(&message);
        return mp_const_none;
    }
    message.len = (size_t)length;
    return mp_obj_new_bytes_from_vstr(&message);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(enclave_receive_obj, 1, 2, enclave_receive);

static mp_obj_t enclave_receive_into(size_t n_args, const mp_obj_t *args) {
    uint32_t channel = find_channel(args[0], RECEIVER, false);
    mp_buffer_info_t buffer;
    mp_get_buffer_raise(args[1], &buffer, MP_BUFFER_WRITE);
    int32_t length = receive_on(channel, buffer.buf, buffer.len, timeout_of(n_args, args, 2));
    return length < 0 ? mp_const_none : MP_OBJ_NEW_SMALL_INT(length);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(enclave_receive_into_obj, 2, 3, enclave_receive_into);

static mp_obj_t enclave_wait(size_t n_args, const mp_obj_t *args) {
    size_t count;
    mp_obj_t *names;
    mp_obj_get_array(args[0], &count, &names);
    uint32_t mask = 0;
    for (size_t i = 0; i < count; i++) {
        mask |= 1u << find_channel(names[i], RECEIVER, false);
    }
    uint32_t ready = (uint32_t)syscall3(SYS_WAIT, mask, timeout_of(n_args, args, 1), 0);
    for (size_t i = 0; i < count; i++) {
        if (ready & 1u << find_channel(names[i], RECEIVER, false)) {
            return names[i];
        }
    }
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(enclave_wait_obj, 1, 2, enclave_wait);

static mp_obj_t enclave_name(void) {
    return mp_obj_new_str_from_cstr(vm_self->name);
}
static MP_DEFINE_CONST_FUN_OBJ_0(enclave_name_obj, enclave_name);

static const mp_rom_map_elem_t enclave_globals_table[] = {
    {MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_enclave)},
    {MP_ROM_QSTR(MP_QSTR_send), MP_ROM_PTR(&enclave_send_obj)},
    {MP_ROM_QSTR(MP_QSTR_release), MP_ROM_PTR(&enclave_pass_gate_obj)},
    {MP_ROM_QSTR(MP_QSTR_vouch), MP_ROM_PTR(&enclave_pass_gate_obj)},
    {MP_ROM_QSTR(MP_QSTR_receive), MP_ROM_PTR(&enclave_receive_obj)},
    {MP_ROM_QSTR(MP_QSTR_receive_into), MP_ROM_PTR(&enclave_receive_into_obj)},
    {MP_ROM_QSTR(MP_QSTR_wait), MP_ROM_PTR(&enclave_wait_obj)},
    {MP_ROM_QSTR(MP_QSTR_name), MP_ROM_PTR(&enclave_name_obj)},
};
static MP_DEFINE_CONST_DICT(enclave_globals, enclave_globals_table);

const mp_obj_module_t vm_enclave_module = {
    .base = {&mp_type_module},
    .globals = (mp_obj_dict_t *)&enclave_globals,
};

MP_REGISTER_MODULE(MP_QSTR_enclave, vm_enclave_module);

#endif
