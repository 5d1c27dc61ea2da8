// SPDX-License-Identifier: Apache-2.0
// machine.SPI: MicroPython's class around the family's driver. Eight bits, the most significant one first, as the parts
// at hand have it; MicroPython's software SPI does the rest.
#include "py/runtime.h"

#if MICROPY_PY_MACHINE_SPI

#include "driver.h"
#include "events.h"
#include "extmod/modmachine.h"

#define ROLE_SCK 0 // the order of board.toml
#define ROLE_MOSI 1
#define ROLE_MISO 2
#define KEEP (-1)

struct spi {
    mp_obj_base_t base;
    const struct device *device;
    struct driver_spi bus;
    uint32_t baud; // what it really is
};

static void start(struct spi *self, size_t n_args, const mp_obj_t *pos_args, mp_map_t *kw_args) {
    enum { ARG_baudrate, ARG_polarity, ARG_phase, ARG_bits, ARG_firstbit, ARG_sck, ARG_mosi, ARG_miso };
    static const mp_arg_t allowed[] = {
        { MP_QSTR_baudrate, MP_ARG_INT, {.u_int = KEEP} },
        { MP_QSTR_polarity, MP_ARG_KW_ONLY | MP_ARG_INT, {.u_int = KEEP} },
        { MP_QSTR_phase, MP_ARG_KW_ONLY | MP_ARG_INT, {.u_int = KEEP} },
        { MP_QSTR_bits, MP_ARG_KW_ONLY | MP_ARG_INT, {.u_int = 8} },
        { MP_QSTR_firstbit, MP_ARG_KW_ONLY | MP_ARG_INT, {.u_int = MICROPY_PY_MACHINE_SPI_MSB} },
        { MP_QSTR_sck, MP_ARG_KW_ONLY | MP_ARG_OBJ, {.u_rom_obj = MP_ROM_NONE} },
        { MP_QSTR_mosi, MP_ARG_KW_ONLY | MP_ARG_OBJ, {.u_rom_obj = MP_ROM_NONE} },
        { MP_QSTR_miso, MP_ARG_KW_ONLY | MP_ARG_OBJ, {.u_rom_obj = MP_ROM_NONE} },
    };
    mp_arg_val_t args[MP_ARRAY_SIZE(allowed)];
    mp_arg_parse_all(n_args, pos_args, kw_args, MP_ARRAY_SIZE(allowed), allowed, args);
    if (args[ARG_bits].u_int != 8 || args[ARG_firstbit].u_int != MICROPY_PY_MACHINE_SPI_MSB) {
        mp_raise_ValueError(MP_ERROR_TEXT("8 bits, MSB first"));
    }
    if (args[ARG_baudrate].u_int > 0) {
        self->bus.hz = (uint32_t)args[ARG_baudrate].u_int;
    }
    if (args[ARG_polarity].u_int != KEEP) {
        self->bus.polarity = args[ARG_polarity].u_int != 0;
    }
    if (args[ARG_phase].u_int != KEEP) {
        self->bus.phase = args[ARG_phase].u_int != 0;
    }
    machine_route(self->device, ROLE_SCK, args[ARG_sck].u_obj);
    machine_route(self->device, ROLE_MOSI, args[ARG_mosi].u_obj);
    machine_route(self->device, ROLE_MISO, args[ARG_miso].u_obj);
    self->baud = driver_spi_start(&self->bus);
    if (self->baud == 0) {
        mp_raise_ValueError(MP_ERROR_TEXT("baudrate"));
    }
}

static mp_obj_t spi_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *args) {
    mp_arg_check_num(n_args, n_kw, 1, MP_OBJ_FUN_ARGS_MAX, true);
    const struct device *device = machine_device(DEVICE_SPI, mp_obj_get_int(args[0]));
    struct spi *self = mp_obj_malloc(struct spi, type);
    self->device = device;
    self->bus = (struct driver_spi){.base = device->base, .hz = 1000000u};
    mp_map_t kw_args;
    mp_map_init_fixed_table(&kw_args, n_kw, args + n_args);
    start(self, n_args - 1, args + 1, &kw_args);
    return MP_OBJ_FROM_PTR(self);
}

static void spi_init(mp_obj_base_t *self, size_t n_args, const mp_obj_t *pos_args, mp_map_t *kw_args) {
    start((struct spi *)self, n_args, pos_args, kw_args);
}

static void spi_deinit(mp_obj_base_t *self) {
    driver_spi_stop(((struct spi *)self)->bus.base);
}

static void spi_transfer(mp_obj_base_t *self_in, size_t length, const uint8_t *from, uint8_t *to) {
    const struct spi *self = (const struct spi *)self_in;
    for (size_t i = 0; i < length; i++) {
        uint8_t received = driver_spi_exchange(self->bus.base, from[i]);
        if (to != NULL) {
            to[i] = received;
        }
    }
}

static void spi_print(const mp_print_t *print, mp_obj_t self_in, mp_print_kind_t kind) {
    (void)kind;
    const struct spi *self = MP_OBJ_TO_PTR(self_in);
    mp_printf(print, "SPI(%u, baudrate=%u, polarity=%u, phase=%u, bits=8)", self->device->id, (unsigned)self->baud,
              self->bus.polarity, self->bus.phase);
}

static const mp_machine_spi_p_t spi_protocol = {.init = spi_init, .deinit = spi_deinit, .transfer = spi_transfer};

MP_DEFINE_CONST_OBJ_TYPE(machine_spi_type, MP_QSTR_SPI, MP_TYPE_FLAG_NONE, make_new, spi_make_new, print, spi_print,
                         protocol, &spi_protocol, locals_dict, &mp_machine_spi_locals_dict);

#endif
