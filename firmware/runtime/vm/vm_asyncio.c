// SPDX-License-Identifier: Apache-2.0
// What MicroPython's asyncio (extmod/asyncio) waits by in an enclave: the monitor in the place of select.poll. A task
// waits for a channel or for a flag; while none can run, the enclave sleeps in the monitor. firmware/specialiser/asyncio_source.py
// puts IOQueue in the place of asyncio's own.
#include "py/runtime.h"
#include "vm.h"

#if MICROPY_PY_ASYNCIO

#define FOREVER 0xFFFFFFFFu

// extmod/modasyncio.c: the names of asyncio/core.py, once there is a task.
extern mp_obj_t mp_asyncio_context;

// A task, and what it waits for: an Input, a Service, or anything else that is true once it has come.
struct waiting {
    struct waiting *next;
    mp_obj_t source;
    mp_obj_t task;
};

// In the order in which they began to wait, so that the same program runs in the same order everywhere.
struct io_queue {
    mp_obj_base_t base;
    struct waiting *first;
};

static mp_obj_t of_asyncio(qstr name) {
    return mp_obj_dict_get(mp_asyncio_context, MP_OBJ_NEW_QSTR(name));
}

static void append(struct io_queue *queue, mp_obj_t source, mp_obj_t task) {
    struct waiting *new = m_new_obj(struct waiting);
    *new = (struct waiting){.source = source, .task = task};
    struct waiting **at = &queue->first;
    while (*at != NULL) {
        at = &(*at)->next;
    }
    *at = new;
}

static void push_task(mp_obj_t task) {
    mp_obj_t call[3];
    mp_load_method(of_asyncio(MP_QSTR__task_queue), MP_QSTR_push, call);
    call[2] = task;
    mp_call_method_n_kw(1, 0, call);
}

static bool has_task(void) {
    mp_obj_t call[2];
    mp_load_method(of_asyncio(MP_QSTR__task_queue), MP_QSTR_peek, call);
    return mp_call_method_n_kw(0, 0, call) != mp_const_none;
}

static uint32_t channels_of(const struct io_queue *queue) {
    uint32_t channels = 0;
    for (const struct waiting *each = queue->first; each != NULL; each = each->next) {
        channels |= vm_is_input(each->source) ? vm_wait_bit(each->source) : 0;
    }
    return channels;
}

// Lets the tasks run again whose channel is in `ready`, or whose flag is set: whether there were any.
static bool wake(struct io_queue *queue, uint32_t ready) {
    bool any = false;
    for (struct waiting **at = &queue->first; *at != NULL;) {
        struct waiting *each = *at;
        if (vm_is_input(each->source) ? (vm_wait_bit(each->source) & ready) != 0 : mp_obj_is_true(each->source)) {
            *at = each->next;
            push_task(each->task);
            any = true;
        } else {
            at = &each->next;
        }
    }
    return any;
}

static mp_obj_t io_queue_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *args) {
    mp_arg_check_num(n_args, n_kw, 0, 0, false);
    (void)args;
    struct io_queue *self = mp_obj_malloc(struct io_queue, type);
    self->first = NULL;
    return MP_OBJ_FROM_PTR(self);
}

// The running task waits, from its next `yield` on.
static mp_obj_t queue_read(mp_obj_t self_in, mp_obj_t source) {
    mp_obj_t task = of_asyncio(MP_QSTR_cur_task);
    append(MP_OBJ_TO_PTR(self_in), source, task);
    mp_store_attr(task, MP_QSTR_data, self_in); // to be removed when it is cancelled
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(queue_read_obj, queue_read);

static mp_obj_t remove_task(mp_obj_t self_in, mp_obj_t task) {
    struct io_queue *self = MP_OBJ_TO_PTR(self_in);
    for (struct waiting **at = &self->first; *at != NULL;) {
        if ((*at)->task == task) {
            *at = (*at)->next;
        } else {
            at = &(*at)->next;
        }
    }
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(remove_task_obj, remove_task);

// Sleeps for so many milliseconds, or, if negative, until a task can run; less if one can before.
static mp_obj_t wait_io_event(mp_obj_t self_in, mp_obj_t ms_in) {
    struct io_queue *self = MP_OBJ_TO_PTR(self_in);
    mp_int_t ms = mp_obj_get_int(ms_in);
    for (;;) {
        // A handler of an interrupt may set a flag or an event.
        bool stirred = vm_serve();
        stirred = wake(self, 0) || stirred;
        uint32_t timeout = stirred ? 0 : ms < 0 ? FOREVER : (uint32_t)ms;
        uint32_t ready = vm_pause(channels_of(self), timeout);
        wake(self, ready);
        if (ms >= 0 || has_task()) {
            return mp_const_none;
        }
    }
}
static MP_DEFINE_CONST_FUN_OBJ_2(wait_io_event_obj, wait_io_event);

static void io_queue_attributes(mp_obj_t self_in, qstr attribute, mp_obj_t *dest) {
    const struct io_queue *self = MP_OBJ_TO_PTR(self_in);
    if (dest[0] != MP_OBJ_NULL) {
        return; // a store: nothing can be set
    }
    if (attribute == MP_QSTR_map) { // which asyncio only asks whether it is empty
        dest[0] = mp_obj_new_bool(self->first != NULL);
    } else {
        dest[1] = MP_OBJ_SENTINEL; // go on in the type's methods
    }
}

static const mp_rom_map_elem_t io_queue_methods_table[] = {
    {MP_ROM_QSTR(MP_QSTR_queue_read), MP_ROM_PTR(&queue_read_obj)},
    {MP_ROM_QSTR(MP_QSTR_remove), MP_ROM_PTR(&remove_task_obj)},
    {MP_ROM_QSTR(MP_QSTR_wait_io_event), MP_ROM_PTR(&wait_io_event_obj)},
};
static MP_DEFINE_CONST_DICT(io_queue_methods, io_queue_methods_table);

static MP_DEFINE_CONST_OBJ_TYPE(io_queue_type, MP_QSTR_IOQueue, MP_TYPE_FLAG_NONE, make_new, io_queue_make_new, attr,
                                io_queue_attributes, locals_dict, &io_queue_methods);

static const mp_rom_map_elem_t asyncio_port_globals_table[] = {
    {MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR__enclave)},
    {MP_ROM_QSTR(MP_QSTR_IOQueue), MP_ROM_PTR(&io_queue_type)},
};
static MP_DEFINE_CONST_DICT(asyncio_port_globals, asyncio_port_globals_table);

const mp_obj_module_t vm_asyncio_port = {
    .base = {&mp_type_module},
    .globals = (mp_obj_dict_t *)&asyncio_port_globals,
};

MP_REGISTER_MODULE(MP_QSTR__enclave, vm_asyncio_port);

#if MICROPY_PY_ENCLAVE

// ---- enclave.next_message: an iterator that ends with the message ----

struct arrival {
    mp_obj_base_t base;
    mp_obj_t input;
};

MP_DECLARE_CONST_FUN_OBJ_1(enclave_receive_obj);

static mp_obj_t arrival_next(mp_obj_t self_in) {
    const struct arrival *self = MP_OBJ_TO_PTR(self_in);
    mp_obj_t message = mp_call_function_1(MP_OBJ_FROM_PTR(&enclave_receive_obj), self->input);
    if (message != mp_const_none) {
        return mp_make_stop_iteration(message);
    }
    if (mp_asyncio_context == MP_OBJ_NULL || of_asyncio(MP_QSTR_cur_task) == mp_const_none) {
        mp_raise_msg(&mp_type_RuntimeError, MP_ERROR_TEXT("no running event loop"));
    }
    return queue_read(of_asyncio(MP_QSTR__io_queue), self->input);
}

// As a coroutine has them, so that it can be a task by itself: `wait_for_ms(next_message(bell), 100)`.
static mp_obj_t arrival_send(mp_obj_t self, mp_obj_t value) {
    (void)value;
    mp_obj_t next = arrival_next(self);
    if (next == MP_OBJ_STOP_ITERATION) {
        nlr_raise(mp_obj_new_exception_arg1(&mp_type_StopIteration, MP_STATE_THREAD(stop_iteration_arg)));
    }
    return next;
}
static MP_DEFINE_CONST_FUN_OBJ_2(arrival_send_obj, arrival_send);

static mp_obj_t arrival_throw(mp_obj_t self, mp_obj_t exception) {
    (void)self;
    nlr_raise(mp_make_raise_obj(exception));
}
static MP_DEFINE_CONST_FUN_OBJ_2(arrival_throw_obj, arrival_throw);

static const mp_rom_map_elem_t arrival_methods_table[] = {
    {MP_ROM_QSTR(MP_QSTR_send), MP_ROM_PTR(&arrival_send_obj)},
    {MP_ROM_QSTR(MP_QSTR_throw), MP_ROM_PTR(&arrival_throw_obj)},
};
static MP_DEFINE_CONST_DICT(arrival_methods, arrival_methods_table);

static MP_DEFINE_CONST_OBJ_TYPE(arrival_type, MP_QSTR_Arrival, MP_TYPE_FLAG_ITER_IS_ITERNEXT, iter, arrival_next,
                                locals_dict, &arrival_methods);

static mp_obj_t enclave_next_message(mp_obj_t input) {
    vm_wait_bit(input); // nothing else can be waited for
    struct arrival *arrival = mp_obj_malloc(struct arrival, &arrival_type);
    arrival->input = input;
    return MP_OBJ_FROM_PTR(arrival);
}
MP_DEFINE_CONST_FUN_OBJ_1(enclave_next_message_obj, enclave_next_message);

#endif
#endif
