// SPDX-License-Identifier: Apache-2.0
// The module `enclave`, as enclaves/device/enclave.pyi says it: the ends of an enclave's channels as objects.
// Names are looked up in the image's const tables once; the monitor checks every use again.
#include <string.h>

#include "coffret/syscall.h"
#include "coffret/tables.h"
#include "py/mperrno.h"
#include "py/objstr.h"
#include "py/runtime.h"
#include "vm.h"

#if MICROPY_PY_ENCLAVE

#define FOREVER 0xFFFFFFFFu
#define US_PER_MS 1000u
#define CHANNELS_PER_WAIT 32u // bits of SYS_WAIT's mask

// One end of a channel: an Output, an Input, a Gate, a Caller or a Service.
struct end {
    mp_obj_base_t base;
    uint32_t number; // of the channel
};

extern const mp_obj_type_t vm_type_output, vm_type_input, vm_type_gate, vm_type_caller, vm_type_service;

// Raised when the monitor refuses; its argument is the name of the channel or gate.
MP_DEFINE_EXCEPTION(Denied, Exception)

static const struct channel *channel_of(const struct end *end) {
    return &coffret_channels[end->number];
}

// What this side calls the channel.
static const char *name_of(const struct channel *channel, const mp_obj_type_t *type) {
    return type == &vm_type_input || type == &vm_type_service ? channel->from_name : channel->name;
}

// A gate's channel is reached by gate() only, so that the lines which use a privilege can be found by that word.
static bool is_end(const struct channel *channel, const mp_obj_type_t *type) {
    uint32_t self = (uint32_t)(vm_self - coffret_tasks);
    bool is_call = channel->kind == CHANNEL_CALL;
    if (is_call != (type == &vm_type_caller || type == &vm_type_service)) {
        return false;
    }
    if (type == &vm_type_input || type == &vm_type_service) {
        return channel->to == self;
    }
    if (channel->kind == CHANNEL_FAULTS) {
        return false;
    }
    return channel->from == self && (channel->gate != CHANNEL_NO_GATE) == (type == &vm_type_gate);
}

static mp_obj_t open_end(const mp_obj_type_t *type, mp_obj_t name_in) {
    const char *name = mp_obj_str_get_str(name_in);
    for (uint32_t number = 0; number < coffret_counts.channels; number++) {
        const struct channel *channel = &coffret_channels[number];
        if (is_end(channel, type) && strcmp(name_of(channel, type), name) == 0) {
            struct end *end = mp_obj_malloc(struct end, type);
            end->number = number;
            return MP_OBJ_FROM_PTR(end);
        }
    }
    mp_raise_ValueError(MP_ERROR_TEXT("no such channel"));
}

static mp_obj_t enclave_output(mp_obj_t name) {
    return open_end(&vm_type_output, name);
}
MP_DEFINE_CONST_FUN_OBJ_1(enclave_output_obj, enclave_output);

static mp_obj_t enclave_input(mp_obj_t name) {
    return open_end(&vm_type_input, name);
}
MP_DEFINE_CONST_FUN_OBJ_1(enclave_input_obj, enclave_input);

static mp_obj_t enclave_gate(mp_obj_t name) {
    return open_end(&vm_type_gate, name);
}
MP_DEFINE_CONST_FUN_OBJ_1(enclave_gate_obj, enclave_gate);

static mp_obj_t enclave_caller(mp_obj_t name) {
    return open_end(&vm_type_caller, name);
}
MP_DEFINE_CONST_FUN_OBJ_1(enclave_caller_obj, enclave_caller);

static mp_obj_t enclave_service(mp_obj_t name) {
    return open_end(&vm_type_service, name);
}
MP_DEFINE_CONST_FUN_OBJ_1(enclave_service_obj, enclave_service);

static _Noreturn void raise_error(const struct end *end, int32_t error) {
    const char *name = name_of(channel_of(end), end->base.type);
    switch (error) {
        case ERR_SIZE:
            mp_raise_ValueError(MP_ERROR_TEXT("message size"));
        case ERR_DENIED:
        case ERR_BUDGET:
            nlr_raise(mp_obj_new_exception_arg1(&mp_type_Denied, mp_obj_new_str_from_cstr(name)));
        default:
            mp_raise_OSError(error == ERR_PEER ? MP_ECONNRESET : error == ERR_POINTER ? MP_EFAULT : MP_EIO);
    }
}

// ---- methods; `self` is of the right type, because nothing but the type's own table leads here ----

static mp_obj_t send(mp_obj_t self, mp_obj_t data) {
    const struct end *end = MP_OBJ_TO_PTR(self);
    mp_buffer_info_t buffer;
    mp_get_buffer_raise(data, &buffer, MP_BUFFER_READ);
    int32_t result = syscall3(SYS_SEND, end->number, (uint32_t)buffer.buf, buffer.len);
    // A budget belongs to a gate: what is used up now comes back with the next window.
    if (result == ERR_FULL || (result == ERR_BUDGET && end->base.type == &vm_type_gate)) {
        return mp_const_false;
    }
    if (result < 0) {
        raise_error(end, result);
    }
    return mp_const_true;
}
MP_DEFINE_CONST_FUN_OBJ_2(enclave_send_obj, send);

static mp_obj_t emit(mp_obj_t self, mp_obj_t data) {
    send(self, data);
    return mp_const_none;
}
MP_DEFINE_CONST_FUN_OBJ_2(enclave_emit_obj, emit);

static mp_obj_t dropped(mp_obj_t self) {
    const struct end *end = MP_OBJ_TO_PTR(self);
    return mp_obj_new_int(syscall3(SYS_DROPPED, end->number, 0, 0));
}
MP_DEFINE_CONST_FUN_OBJ_1(enclave_dropped_obj, dropped);

static mp_obj_t receive(mp_obj_t self) {
    const struct end *end = MP_OBJ_TO_PTR(self);
    vstr_t message;
    vstr_init_len(&message, channel_of(end)->max_size);
    int32_t length = syscall3(SYS_RECEIVE, end->number, (uint32_t)message.buf, message.len);
    if (length < 0) {
        vstr_clear(&message);
        if (length != ERR_EMPTY) {
            raise_error(end, length);
        }
        return mp_const_none;
    }
    message.len = (size_t)length;
    return mp_obj_new_bytes_from_vstr(&message);
}
MP_DEFINE_CONST_FUN_OBJ_1(enclave_receive_obj, receive);

// A call waits, so its buffer is on the heap, which stays where it is while others run: large enough for both ways.
static uint8_t *both_ways(const struct channel *channel, uint32_t *size) {
    *size = channel->max_size > channel->reply_max ? channel->max_size : channel->reply_max;
    return m_new(uint8_t, *size);
}

static mp_obj_t call(mp_obj_t self, mp_obj_t data) {
    const struct end *end = MP_OBJ_TO_PTR(self);
    const struct channel *channel = channel_of(end);
    mp_buffer_info_t request;
    mp_get_buffer_raise(data, &request, MP_BUFFER_READ);
    if (request.len > channel->max_size) {
        raise_error(end, ERR_SIZE);
    }
    uint32_t size;
    uint8_t *buffer = both_ways(channel, &size);
    memcpy(buffer, request.buf, request.len);
    uint32_t lengths = request.len | (uint32_t)channel->reply_max << 16;
    int32_t length = syscall3(SYS_CALL, end->number, (uint32_t)buffer, lengths);
    if (length < 0) {
        raise_error(end, length);
    }
    mp_obj_t reply = mp_obj_new_bytes(buffer, (size_t)length);
    m_del(uint8_t, buffer, size);
    return reply;
}
MP_DEFINE_CONST_FUN_OBJ_2(enclave_call_obj, call);

static mp_obj_t reply(mp_obj_t self, mp_obj_t data) {
    const struct end *end = MP_OBJ_TO_PTR(self);
    mp_buffer_info_t buffer;
    mp_get_buffer_raise(data, &buffer, MP_BUFFER_READ);
    int32_t result = syscall3(SYS_REPLY, end->number, (uint32_t)buffer.buf, buffer.len);
    if (result < 0) {
        raise_error(end, result);
    }
    return mp_const_none;
}
MP_DEFINE_CONST_FUN_OBJ_2(enclave_reply_obj, reply);

static mp_obj_t serve(mp_obj_t self, mp_obj_t handler) {
    const struct end *end = MP_OBJ_TO_PTR(self);
    const struct channel *channel = channel_of(end);
    uint32_t size;
    uint8_t *buffer = both_ways(channel, &size);
    uint32_t answer = NO_REPLY;
    for (;;) {
        int32_t length = syscall3(SYS_ANSWER, end->number, (uint32_t)buffer, answer | size << 16);
        if (length < 0) {
            raise_error(end, length);
        }
        mp_buffer_info_t data;
        mp_get_buffer_raise(mp_call_function_1(handler, mp_obj_new_bytes(buffer, (size_t)length)), &data, MP_BUFFER_READ);
        if (data.len > channel->reply_max) {
            raise_error(end, ERR_SIZE);
        }
        memcpy(buffer, data.buf, data.len);
        answer = data.len;
    }
}
MP_DEFINE_CONST_FUN_OBJ_2(enclave_serve_obj, serve);

static void end_attributes(mp_obj_t self_in, qstr attribute, mp_obj_t *dest) {
    const struct end *end = MP_OBJ_TO_PTR(self_in);
    if (dest[0] != MP_OBJ_NULL) {
        return; // a store: nothing of an end can be set
    }
    if (attribute == MP_QSTR_name) {
        dest[0] = mp_obj_new_str_from_cstr(name_of(channel_of(end), end->base.type));
    } else if (attribute == MP_QSTR_size) {
        dest[0] = MP_OBJ_NEW_SMALL_INT(channel_of(end)->max_size);
    } else {
        dest[1] = MP_OBJ_SENTINEL; // go on in the type's methods
    }
}

static const mp_rom_map_elem_t output_methods_table[] = {
    {MP_ROM_QSTR(MP_QSTR_emit), MP_ROM_PTR(&enclave_emit_obj)},
    {MP_ROM_QSTR(MP_QSTR_send), MP_ROM_PTR(&enclave_send_obj)},
};
static MP_DEFINE_CONST_DICT(output_methods, output_methods_table);

static const mp_rom_map_elem_t input_methods_table[] = {
    {MP_ROM_QSTR(MP_QSTR_dropped), MP_ROM_PTR(&enclave_dropped_obj)},
    {MP_ROM_QSTR(MP_QSTR_receive), MP_ROM_PTR(&enclave_receive_obj)},
};
static MP_DEFINE_CONST_DICT(input_methods, input_methods_table);

static const mp_rom_map_elem_t gate_methods_table[] = {
    {MP_ROM_QSTR(MP_QSTR_release), MP_ROM_PTR(&enclave_send_obj)},
};
static MP_DEFINE_CONST_DICT(gate_methods, gate_methods_table);

static const mp_rom_map_elem_t caller_methods_table[] = {
    {MP_ROM_QSTR(MP_QSTR_call), MP_ROM_PTR(&enclave_call_obj)},
};
static MP_DEFINE_CONST_DICT(caller_methods, caller_methods_table);

static const mp_rom_map_elem_t service_methods_table[] = {
    {MP_ROM_QSTR(MP_QSTR_receive), MP_ROM_PTR(&enclave_receive_obj)},
    {MP_ROM_QSTR(MP_QSTR_reply), MP_ROM_PTR(&enclave_reply_obj)},
    {MP_ROM_QSTR(MP_QSTR_serve), MP_ROM_PTR(&enclave_serve_obj)},
};
static MP_DEFINE_CONST_DICT(service_methods, service_methods_table);

MP_DEFINE_CONST_OBJ_TYPE(vm_type_output, MP_QSTR_Output, MP_TYPE_FLAG_NONE, attr, end_attributes, locals_dict,
                         &output_methods);
MP_DEFINE_CONST_OBJ_TYPE(vm_type_input, MP_QSTR_Input, MP_TYPE_FLAG_NONE, attr, end_attributes, locals_dict,
                         &input_methods);
MP_DEFINE_CONST_OBJ_TYPE(vm_type_gate, MP_QSTR_Gate, MP_TYPE_FLAG_NONE, attr, end_attributes, locals_dict,
                         &gate_methods);
MP_DEFINE_CONST_OBJ_TYPE(vm_type_caller, MP_QSTR_Caller, MP_TYPE_FLAG_NONE, attr, end_attributes, locals_dict,
                         &caller_methods);
MP_DEFINE_CONST_OBJ_TYPE(vm_type_service, MP_QSTR_Service, MP_TYPE_FLAG_NONE, attr, end_attributes, locals_dict,
                         &service_methods);

// ---- functions ----

static uint32_t timeout_of(mp_obj_t ms_in) {
    if (ms_in == mp_const_none) {
        return FOREVER;
    }
    mp_int_t ms = mp_obj_get_int(ms_in);
    return ms > 0 ? (uint32_t)ms : 0;
}

bool vm_is_input(mp_obj_t object) {
    return mp_obj_is_type(object, &vm_type_input) || mp_obj_is_type(object, &vm_type_service);
}

uint32_t vm_wait_bit(mp_obj_t input) {
    if (!mp_obj_is_type(input, &vm_type_input) && !mp_obj_is_type(input, &vm_type_service)) {
        mp_raise_TypeError(MP_ERROR_TEXT("not an Input"));
    }
    uint32_t number = ((const struct end *)MP_OBJ_TO_PTR(input))->number;
    if (number >= CHANNELS_PER_WAIT) {
        mp_raise_ValueError(MP_ERROR_TEXT("channel number"));
    }
    return 1u << number;
}

static mp_obj_t enclave_wait(size_t n_args, const mp_obj_t *args, mp_map_t *keywords) {
    static const mp_arg_t allowed[] = {
        {MP_QSTR_timeout_ms, MP_ARG_KW_ONLY | MP_ARG_OBJ, {.u_rom_obj = MP_ROM_NONE}},
    };
    mp_arg_val_t timeout;
    mp_arg_parse_all(0, NULL, keywords, 1, allowed, &timeout);
    uint32_t mask = 0;
    for (size_t i = 0; i < n_args; i++) {
        mask |= vm_wait_bit(args[i]);
    }
    uint32_t ready = vm_wait(mask, timeout_of(timeout.u_obj));
    for (size_t i = 0; i < n_args; i++) {
        if (ready & vm_wait_bit(args[i])) {
            return args[i];
        }
    }
    return mp_const_none;
}
MP_DEFINE_CONST_FUN_OBJ_KW(enclave_wait_obj, 0, enclave_wait);

static mp_obj_t enclave_log(mp_obj_t text_in) {
    size_t length;
    const char *text = mp_obj_str_get_data(text_in, &length);
    vm_flush_output(); // what print() left comes first
    syscall3(SYS_LOG, (uint32_t)text, length, 0);
    return mp_const_none;
}
MP_DEFINE_CONST_FUN_OBJ_1(enclave_log_obj, enclave_log);

// Lines and debugging go together: see firmware/appliance/profile.py.
static mp_obj_t enclave_debug(mp_obj_t text_in) {
    return MICROPY_ENABLE_SOURCE_LINE ? enclave_log(text_in) : mp_const_none;
}
MP_DEFINE_CONST_FUN_OBJ_1(enclave_debug_obj, enclave_debug);

static mp_obj_t enclave_ticks_ms(void) {
    return mp_obj_new_int_from_ull(syscall_time() / US_PER_MS);
}
MP_DEFINE_CONST_FUN_OBJ_0(enclave_ticks_ms_obj, enclave_ticks_ms);

static mp_obj_t enclave_sleep_ms(mp_obj_t ms) {
    vm_wait(0, timeout_of(ms));
    return mp_const_none;
}
MP_DEFINE_CONST_FUN_OBJ_1(enclave_sleep_ms_obj, enclave_sleep_ms);

static mp_obj_t enclave_name(void) {
    return mp_obj_new_str_from_cstr(vm_self->name);
}
MP_DEFINE_CONST_FUN_OBJ_0(enclave_name_obj, enclave_name);

// (CPU milliseconds, bytes of memory, most bytes of stack, faults, restarts) of this enclave.
static mp_obj_t enclave_account(void) {
    struct account account;
    syscall3(SYS_ACCOUNT, SELF, (uint32_t)&account, 0);
    mp_obj_t items[] = {
        mp_obj_new_int_from_uint((uint32_t)(account.cpu_us / US_PER_MS)),
        mp_obj_new_int_from_uint(account.memory),
        mp_obj_new_int_from_uint(account.stack_used),
        mp_obj_new_int_from_uint(account.faults),
        mp_obj_new_int_from_uint(account.restarts),
    };
    return mp_obj_new_tuple(sizeof items / sizeof *items, items);
}
MP_DEFINE_CONST_FUN_OBJ_0(enclave_account_obj, enclave_account);

static mp_obj_t tags_of(const struct label *label) {
    mp_obj_t tags = mp_obj_new_list(0, NULL);
    for (uint32_t tag = 0; coffret_tag_names[tag] != NULL; tag++) {
        if (label->word[tag / 32u] >> (tag % 32u) & 1u) {
            mp_obj_list_append(tags, mp_obj_new_str_from_cstr(coffret_tag_names[tag]));
        }
    }
    size_t count;
    mp_obj_t *items;
    mp_obj_list_get(tags, &count, &items);
    return mp_obj_new_tuple(count, items);
}

static mp_obj_t enclave_secrecy(void) {
    return tags_of(&vm_self->secrecy);
}
MP_DEFINE_CONST_FUN_OBJ_0(enclave_secrecy_obj, enclave_secrecy);

static mp_obj_t enclave_integrity(void) {
    return tags_of(&vm_self->integrity);
}
MP_DEFINE_CONST_FUN_OBJ_0(enclave_integrity_obj, enclave_integrity);

MP_DECLARE_CONST_FUN_OBJ_1(enclave_setting_obj);      // vm_setting.c
MP_DECLARE_CONST_FUN_OBJ_1(enclave_next_message_obj); // vm_asyncio.c

static const mp_rom_map_elem_t enclave_globals_table[] = {
    {MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_enclave)},
    {MP_ROM_QSTR(MP_QSTR_Caller), MP_ROM_PTR(&vm_type_caller)},
    {MP_ROM_QSTR(MP_QSTR_Denied), MP_ROM_PTR(&mp_type_Denied)},
    {MP_ROM_QSTR(MP_QSTR_Gate), MP_ROM_PTR(&vm_type_gate)},
    {MP_ROM_QSTR(MP_QSTR_Input), MP_ROM_PTR(&vm_type_input)},
    {MP_ROM_QSTR(MP_QSTR_Output), MP_ROM_PTR(&vm_type_output)},
    {MP_ROM_QSTR(MP_QSTR_Service), MP_ROM_PTR(&vm_type_service)},
    {MP_ROM_QSTR(MP_QSTR_account), MP_ROM_PTR(&enclave_account_obj)},
    {MP_ROM_QSTR(MP_QSTR_caller), MP_ROM_PTR(&enclave_caller_obj)},
    {MP_ROM_QSTR(MP_QSTR_gate), MP_ROM_PTR(&enclave_gate_obj)},
    {MP_ROM_QSTR(MP_QSTR_input), MP_ROM_PTR(&enclave_input_obj)},
    {MP_ROM_QSTR(MP_QSTR_integrity), MP_ROM_PTR(&enclave_integrity_obj)},
    {MP_ROM_QSTR(MP_QSTR_log), MP_ROM_PTR(&enclave_log_obj)},
    {MP_ROM_QSTR(MP_QSTR_debug), MP_ROM_PTR(&enclave_debug_obj)},
    {MP_ROM_QSTR(MP_QSTR_name), MP_ROM_PTR(&enclave_name_obj)},
#if MICROPY_PY_ASYNCIO
    {MP_ROM_QSTR(MP_QSTR_next_message), MP_ROM_PTR(&enclave_next_message_obj)},
#endif
    {MP_ROM_QSTR(MP_QSTR_output), MP_ROM_PTR(&enclave_output_obj)},
    {MP_ROM_QSTR(MP_QSTR_secrecy), MP_ROM_PTR(&enclave_secrecy_obj)},
    {MP_ROM_QSTR(MP_QSTR_service), MP_ROM_PTR(&enclave_service_obj)},
    {MP_ROM_QSTR(MP_QSTR_setting), MP_ROM_PTR(&enclave_setting_obj)},
    {MP_ROM_QSTR(MP_QSTR_sleep_ms), MP_ROM_PTR(&enclave_sleep_ms_obj)},
    {MP_ROM_QSTR(MP_QSTR_ticks_ms), MP_ROM_PTR(&enclave_ticks_ms_obj)},
    {MP_ROM_QSTR(MP_QSTR_wait), MP_ROM_PTR(&enclave_wait_obj)},
};
static MP_DEFINE_CONST_DICT(enclave_globals, enclave_globals_table);

const mp_obj_module_t vm_enclave_module = {
    .base = {&mp_type_module},
    .globals = (mp_obj_dict_t *)&enclave_globals,
};

MP_REGISTER_MODULE(MP_QSTR_enclave, vm_enclave_module);

#endif
