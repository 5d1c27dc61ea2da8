// SPDX-License-Identifier: Apache-2.0
// What never changes from one appliance to another; the switches are generated (firmware/compiler/micropython.py).
#ifndef COFFRET_MPCONFIGPORT_H
#define COFFRET_MPCONFIGPORT_H

#include <alloca.h>
#include <stddef.h>
#include <stdint.h>

#include "genhdr/vm_switches.h"

typedef int mp_int_t;
typedef unsigned int mp_uint_t;
typedef long mp_off_t;
#define MP_SSIZE_MAX 0x7fffffff

#define MP_STATE_PORT MP_STATE_VM

// Blocks of 16 bytes in 16-bit entries: heaps up to 1 MiB (vm_main.c refuses larger ones), and half the stack of
// the collector, which is the largest part of the window that is copied when the monitor switches enclaves.
#define MICROPY_GC_STACK_ENTRY_TYPE uint16_t
#define COFFRET_HEAP_MAX (0x10000u * 16u)

// Native code is Thumb: the lowest bit of a function's address says so.
#define MICROPY_MAKE_POINTER_CALLABLE(p) ((void *)((mp_uint_t)(p) | 1))

// machine: MicroPython's classes around our parts of them. The switches without an upstream name are ours: Pin, Timer,
// and handlers of interrupts and timers.
#define MICROPY_PY_MACHINE_INCLUDEFILE "machine_port.h"
#define MICROPY_PY_MACHINE_ADC_INCLUDEFILE "machine/adc_port.h"
#define MICROPY_PY_MACHINE_PWM_INCLUDEFILE "machine/pwm_port.h"
#define MICROPY_PY_MACHINE_UART_INCLUDEFILE "machine/uart_port.h"
#define MICROPY_PY_MACHINE_WDT_INCLUDEFILE "machine/wdt_port.h"
#define MICROPY_PY_MACHINE_WDT_TIMEOUT_MS MICROPY_PY_MACHINE_WDT
#define MICROPY_PY_MACHINE_SPI_MSB 0
#define MICROPY_PY_MACHINE_SPI_LSB 1

// `random` is no source of secrets: it starts from the clock when it is imported. Without a seed function its
// state would be initialised data, which the window cannot have.
mp_uint_t mp_hal_ticks_us(void);
#define MICROPY_PY_RANDOM_SEED_INIT_FUNC (mp_hal_ticks_us())
#if MICROPY_PY_RANDOM
#define MICROPY_MODULE_BUILTIN_INIT 1
#endif

// The whole importer of MicroPython searches file systems; ours knows built-in and frozen modules only.
#if !MICROPY_ENABLE_EXTERNAL_IMPORT
#define mp_builtin___import__ vm_import
#endif

// In a debug image vm_frames.c has mp_execute_bytecode, and calls this.
#ifndef COFFRET_TELLS_FRAMES
#define COFFRET_TELLS_FRAMES 0
#endif
#if COFFRET_TELLS_FRAMES
#define MICROPY_WRAP_MP_EXECUTE_BYTECODE(name) vm_execute_bytecode
#endif

// Armv6-M's branch without link reaches 2 KiB, which is not far enough once the linker has had its way.
#if defined(__ARM_ARCH_6M__)
#define MICROPY_NLR_THUMB_USE_LONG_JUMP 1
#endif

// nlr_push returns twice like setjmp, but is a plain function to the compiler: without this attribute clang may
// reuse, after the first return, a stack slot whose value the second return needs.
struct _nlr_buf_t;
__attribute__((returns_twice)) unsigned int nlr_push(struct _nlr_buf_t *);

#endif
