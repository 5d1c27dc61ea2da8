// SPDX-License-Identifier: Apache-2.0
// What boot and monitor ask of a board. Privileged callers only; no function here is reentrant, the
// interrupt handler included: the monitor calls them with interrupts masked or from one priority.
#ifndef COFFRET_BOARD_H
#define COFFRET_BOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Why the last reset happened, as far as the part tells.
enum board_reset_cause {
    BOARD_RESET_UNKNOWN = 0,
    BOARD_RESET_POWER_ON = 1,
    BOARD_RESET_SOFTWARE = 2,
    BOARD_RESET_WATCHDOG = 3
};

// Clock, time base, management port in polled mode. Called once by boot, and once more by the image.
void board_init(void);

// Never returns. What must survive the reset (stay in recovery) belongs in the record store.
__attribute__((noreturn)) void board_reset(void);
enum board_reset_cause board_reset_cause(void);

// Microseconds since board_init, from the free-running time base. It wraps in hardware after
// BOARD_TIME_WRAP_US (board_config.h): call it at least that often, or the wrap is lost.
uint64_t board_microseconds(void);
// The time base as it counts: BOARD_TICKS_PER_US a microsecond, for differences of less than BOARD_TIME_WRAP_US.
uint32_t board_ticks(void);

// A true random number generator, where the part has one. Returns the bytes written, 0: there is none.
size_t board_entropy(uint8_t *data, size_t length);

// A watchdog that resets the board unless it is fed within `timeout_ms`; once started it is never stopped.
// Returns false where the part has none. A part may first raise a non-maskable interrupt, after half of it, which
// shall end in board_reset() or not at all.
bool board_watchdog_start(uint32_t timeout_ms);
void board_watchdog_feed(void);

// The management port (SMP). Boot links the polled driver: a read returns what the hardware holds, a write waits
// until every byte is in the hardware. The image links the interrupt-driven one: after board_port_use_interrupts()
// both go through rings, never wait, and return how many bytes were taken.
size_t board_port_read(uint8_t *data, size_t capacity);
size_t board_port_write(const uint8_t *data, size_t length);
// Wait, polling, until everything written has left the board (before a reset). At most 100 ms.
void board_port_flush(void);
void board_port_use_interrupts(void); // image only

// Streams, image only: byte links a sink sends to (board.toml [[stream]], numbered from 0). Interrupt driven.
// Largest message: BOARD_STREAM_CAPACITY bytes.
#define BOARD_STREAM_CAPACITY 1023u
// All or nothing: a message that does not fit the ring is not begun; false then.
void board_stream_start(uint32_t stream);
bool board_stream_write(uint32_t stream, const uint8_t *data, size_t length);
size_t board_stream_space(uint32_t stream);
size_t board_stream_read(uint32_t stream, uint8_t *data, size_t capacity);

// Boot only: closes boot and the device secret until the next reset, where the part can (boards/families/*/boot_lock.c).
void board_lock_flash(void);
// Boot only, at each start of a secured device: closes the debug port for good, where the part can. What opens it again
// erases the flash, and the device secret with it.
void board_lock_debug(void);

// What an interrupt changed, so that the monitor knows whom to wake.
enum board_event {
    BOARD_EVENT_PORT_READABLE = 1,
    BOARD_EVENT_PORT_WRITABLE = 2,
    BOARD_EVENT_STREAM_READABLE = 4,
    BOARD_EVENT_STREAM_WRITABLE = 8
};

// Serve external interrupt `irq` (exception number - 16): a mask of enum board_event.
// An interrupt of a device that is nobody's is disabled and counts as no event.
uint32_t board_interrupt(uint32_t irq);

#endif
