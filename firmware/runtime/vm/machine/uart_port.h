// SPDX-License-Identifier: Apache-2.0
// The port's part of machine.UART; extmod/machine_uart.c includes it. What is received goes into a ring whenever the
// enclave waits or asks; sending fills the hardware and lets others run in between.
#include "driver.h"
#include "events.h"
#include "py/mperrno.h"
#include "py/mphal.h"
#include "py/ringbuf.h"

#define ROLE_TX 0 // the order of board.toml
#define ROLE_RX 1
#define KEEP (-1)
#define SMALLEST_RING 32
#define LARGEST_RING 32767

enum { UART_IRQ_RX = 1, UART_IRQ_RXIDLE = 2 };

struct _machine_uart_obj_t {
    mp_obj_base_t base;
    const struct device *device;
    struct driver_uart line;
    ringbuf_t received;
    uint32_t timeout;      // ms for the first byte of a read
    uint32_t timeout_char; // ms between two of them
};

static void uart_take(machine_uart_obj_t *self) {
    driver_uart_clear(self->line.base);
    while (ringbuf_free(&self->received) != 0) {
        int byte = driver_uart_get(self->line.base);
        if (byte < 0) {
            return;
        }
        ringbuf_put(&self->received, (uint8_t)byte);
    }
}

static bool uart_service(struct machine_irq *irq) {
    machine_uart_obj_t *self = MP_OBJ_TO_PTR(irq->parent);
    uart_take(self);
    irq->flags = irq->trigger;
    if (ringbuf_free(&self->received) == 0) {
        while (driver_uart_get(self->line.base) >= 0) {
        } // a full ring loses what comes, as hardware would; else the interrupt came for ever
    }
    return irq->trigger != 0 && ringbuf_avail(&self->received) != 0;
}

static void mp_machine_uart_print(const mp_print_t *print, mp_obj_t self_in, mp_print_kind_t kind) {
    (void)kind;
    const machine_uart_obj_t *self = MP_OBJ_TO_PTR(self_in);
    mp_printf(print, "UART(%u, baudrate=%u, bits=%u, stop=%u)", self->device->id, (unsigned)self->line.baud,
              self->line.bits, self->line.stop);
}

static void mp_machine_uart_init_helper(machine_uart_obj_t *self, size_t n_args, const mp_obj_t *pos_args, mp_map_t *kw_args) {
    enum { ARG_baudrate, ARG_bits, ARG_parity, ARG_stop, ARG_tx, ARG_rx, ARG_timeout, ARG_timeout_char, ARG_rxbuf };
    static const mp_arg_t allowed[] = {
        { MP_QSTR_baudrate, MP_ARG_INT, {.u_int = KEEP} },
        { MP_QSTR_bits, MP_ARG_INT, {.u_int = KEEP} },
        { MP_QSTR_parity, MP_ARG_OBJ, {.u_rom_obj = MP_ROM_INT(KEEP)} },
        { MP_QSTR_stop, MP_ARG_INT, {.u_int = KEEP} },
        { MP_QSTR_tx, MP_ARG_KW_ONLY | MP_ARG_OBJ, {.u_rom_obj = MP_ROM_NONE} },
        { MP_QSTR_rx, MP_ARG_KW_ONLY | MP_ARG_OBJ, {.u_rom_obj = MP_ROM_NONE} },
        { MP_QSTR_timeout, MP_ARG_KW_ONLY | MP_ARG_INT, {.u_int = KEEP} },
        { MP_QSTR_timeout_char, MP_ARG_KW_ONLY | MP_ARG_INT, {.u_int = KEEP} },
        { MP_QSTR_rxbuf, MP_ARG_KW_ONLY | MP_ARG_INT, {.u_int = KEEP} },
    };
    mp_arg_val_t args[MP_ARRAY_SIZE(allowed)];
    mp_arg_parse_all(n_args, pos_args, kw_args, MP_ARRAY_SIZE(allowed), allowed, args);
    if (args[ARG_baudrate].u_int > 0) {
        self->line.baud = (uint32_t)args[ARG_baudrate].u_int;
    }
    if (args[ARG_bits].u_int > 0) {
        self->line.bits = (uint8_t)args[ARG_bits].u_int;
    }
    if (args[ARG_parity].u_obj == mp_const_none) {
        self->line.parity = DRIVER_PARITY_NONE;
    } else if (args[ARG_parity].u_obj != MP_OBJ_NEW_SMALL_INT(KEEP)) {
        bool odd = (mp_obj_get_int(args[ARG_parity].u_obj) & 1) != 0;
        self->line.parity = odd ? DRIVER_PARITY_ODD : DRIVER_PARITY_EVEN;
    }
    if (args[ARG_stop].u_int > 0) {
        self->line.stop = (uint8_t)args[ARG_stop].u_int;
    }
    if (args[ARG_timeout].u_int >= 0) {
        self->timeout = (uint32_t)args[ARG_timeout].u_int;
    }
    if (args[ARG_timeout_char].u_int >= 0) {
        self->timeout_char = (uint32_t)args[ARG_timeout_char].u_int;
    }
    if (args[ARG_rxbuf].u_int > LARGEST_RING) {
        mp_raise_ValueError(MP_ERROR_TEXT("rxbuf too large"));
    }
    mp_int_t ring = args[ARG_rxbuf].u_int < SMALLEST_RING ? SMALLEST_RING : args[ARG_rxbuf].u_int;
    if (args[ARG_rxbuf].u_int > 0 || self->received.buf == NULL) {
        ringbuf_alloc(&self->received, (size_t)(args[ARG_rxbuf].u_int > 0 ? ring : 256) + 1);
    }
    machine_route(self->device, ROLE_TX, args[ARG_tx].u_obj);
    machine_route(self->device, ROLE_RX, args[ARG_rx].u_obj);
    if (!driver_uart_start(&self->line)) {
        mp_raise_ValueError(MP_ERROR_TEXT("it cannot do that"));
    }
    // A character of 13 bits is the longest there is.
    uint32_t shortest = 13000u / self->line.baud + 1u;
    self->timeout_char = self->timeout_char < shortest ? shortest : self->timeout_char;
    machine_irq_of(self->device, MP_OBJ_FROM_PTR(self))->service = uart_service;
}

static mp_obj_t mp_machine_uart_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *args) {
    mp_arg_check_num(n_args, n_kw, 1, MP_OBJ_FUN_ARGS_MAX, true);
    const struct device *device = machine_device(DEVICE_UART, mp_obj_get_int(args[0]));
    machine_uart_obj_t *self = mp_obj_malloc(machine_uart_obj_t, type);
    self->device = device;
    self->line = (struct driver_uart){device->base, 115200u, 8u, DRIVER_PARITY_NONE, 1u};
    self->received = (ringbuf_t){0};
    self->timeout = self->timeout_char = 0;
    mp_map_t kw_args;
    mp_map_init_fixed_table(&kw_args, n_kw, args + n_args);
    mp_machine_uart_init_helper(self, n_args - 1, args + 1, &kw_args);
    return MP_OBJ_FROM_PTR(self);
}

static void mp_machine_uart_deinit(machine_uart_obj_t *self) {
    driver_uart_stop(self->line.base);
    machine_irq_forget(self->device);
}

static mp_int_t mp_machine_uart_any(machine_uart_obj_t *self) {
    uart_take(self);
    return (mp_int_t)ringbuf_avail(&self->received);
}

static bool mp_machine_uart_txdone(machine_uart_obj_t *self) {
    return driver_uart_sent(self->line.base);
}

static bool uart_wait(machine_uart_obj_t *self, uint32_t timeout_ms) {
    uint64_t until = syscall_time() + (uint64_t)timeout_ms * 1000u;
    while (mp_machine_uart_any(self) == 0) {
        if (syscall_time() >= until) {
            return false;
        }
        machine_pause(0, until);
    }
    return true;
}

static mp_uint_t mp_machine_uart_read(mp_obj_t self_in, void *buffer, mp_uint_t size, int *error) {
    machine_uart_obj_t *self = MP_OBJ_TO_PTR(self_in);
    uint8_t *to = buffer;
    if (size == 0) {
        return 0;
    }
    if (!uart_wait(self, self->timeout)) {
        *error = MP_EAGAIN;
        return MP_STREAM_ERROR;
    }
    do {
        *to++ = (uint8_t)ringbuf_get(&self->received);
    } while (--size != 0 && uart_wait(self, self->timeout_char));
    return (mp_uint_t)(to - (uint8_t *)buffer);
}

static mp_uint_t mp_machine_uart_write(mp_obj_t self_in, const void *buffer, mp_uint_t size, int *error) {
    (void)error; // there is no flow control: the line always takes the next byte in the end
    machine_uart_obj_t *self = MP_OBJ_TO_PTR(self_in);
    const uint8_t *from = buffer;
    for (mp_uint_t i = 0; i < size; i++) {
        while (!driver_uart_put(self->line.base, from[i])) {
            uart_take(self); // what answers while we send must not be lost
            syscall3(SYS_YIELD, 0, 0, 0);
        }
    }
    return size;
}

static mp_uint_t mp_machine_uart_ioctl(mp_obj_t self_in, mp_uint_t request, uintptr_t argument, int *error) {
    machine_uart_obj_t *self = MP_OBJ_TO_PTR(self_in);
    if (request == MP_STREAM_POLL) {
        mp_uint_t readable = mp_machine_uart_any(self) != 0 ? MP_STREAM_POLL_RD : 0;
        return argument & (readable | MP_STREAM_POLL_WR);
    }
    if (request == MP_STREAM_FLUSH) {
        while (!driver_uart_sent(self->line.base)) {
            syscall3(SYS_YIELD, 0, 0, 0);
        }
        return 0;
    }
    *error = MP_EINVAL;
    return MP_STREAM_ERROR;
}

// UART.irq(handler=None, trigger=IRQ_RX, hard=False)
static mp_obj_t uart_irq(size_t n_args, const mp_obj_t *pos_args, mp_map_t *kw_args) {
    enum { ARG_handler, ARG_trigger, ARG_hard };
    static const mp_arg_t allowed[] = {
        { MP_QSTR_handler, MP_ARG_OBJ, {.u_rom_obj = MP_ROM_NONE} },
        { MP_QSTR_trigger, MP_ARG_INT, {.u_int = UART_IRQ_RX} },
        { MP_QSTR_hard, MP_ARG_BOOL, {.u_bool = false} },
    };
    mp_arg_val_t args[MP_ARRAY_SIZE(allowed)];
    mp_arg_parse_all(n_args - 1, pos_args + 1, kw_args, MP_ARRAY_SIZE(allowed), allowed, args);
    machine_uart_obj_t *self = MP_OBJ_TO_PTR(pos_args[0]);
    struct machine_irq *irq = machine_irq_of(self->device, pos_args[0]);
    irq->service = uart_service;
    if (n_args > 1 || kw_args->used != 0) {
        irq->handler = args[ARG_handler].u_obj;
        irq->trigger = (uint32_t)args[ARG_trigger].u_int;
    }
    return MP_OBJ_FROM_PTR(irq);
}
static MP_DEFINE_CONST_FUN_OBJ_KW(uart_irq_obj, 1, uart_irq);

#define MICROPY_PY_MACHINE_UART_CLASS_CONSTANTS \
    { MP_ROM_QSTR(MP_QSTR_irq), MP_ROM_PTR(&uart_irq_obj) }, \
    { MP_ROM_QSTR(MP_QSTR_IRQ_RX), MP_ROM_INT(UART_IRQ_RX) }, \
    { MP_ROM_QSTR(MP_QSTR_IRQ_RXIDLE), MP_ROM_INT(UART_IRQ_RXIDLE) },
