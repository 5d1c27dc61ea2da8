# SPDX-License-Identifier: Apache-2.0
"""The drivers of the micro:bit's nRF52833 against its simulated registers (host build).

No emulator has the part: this shows that the C does what our reading of the specification asks.
"""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import boards
from boards.config_header import config_header
from firmware.planning.monitor_features import EVERYTHING, HEADER, constants, image_config
from tests.boards.simulated_nrf52 import (
    APPROTECT,
    CLOCK,
    FLASH_SIZE,
    NVMC,
    P0,
    PAGE,
    UART0,
    UARTE1,
    WDT,
    SimulatedNrf52,
)
from tests.store.host_library import ROOT, compile_host

SIMULATED = Path(__file__).parent / "simulated_nrf52"
FAMILIES = ROOT / "boards" / "families"
BOARD = boards.load("microbit-v2")
OK, RANGE, NOT_ERASED, FAILED = 0, -1, -2, -3
STORE, SECRETS = BOARD.flash.store.offset, BOARD.flash.secrets.offset


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    folder = tmp_path_factory.mktemp("nrf52")
    (folder / "board_config.h").write_text(config_header(BOARD))
    (folder / HEADER).write_text(image_config(constants(EVERYTHING)))
    names = ("board.c", "internal_flash.c", "boot_lock.c", "device_pins.c")
    sources = [*(FAMILIES / "nrf52" / name for name in names), SIMULATED / "bus.c"]
    sources.append(FAMILIES / "common" / "port_interrupts.c")
    flags = ["-O1", "-shared", "-fPIC", "-include", str(SIMULATED / "access.h")]
    cores = ROOT / "boards" / "cores" / "common"
    for include in (SIMULATED, FAMILIES / "nrf52", FAMILIES / "common", cores):
        flags += ["-I", str(include)]
    flags += ["-I", str(ROOT / "firmware" / "runtime" / "boot")]
    found = ctypes.CDLL(str(compile_host(sources, folder, folder / "nrf52.so", flags)))
    found.board_microseconds.restype = ctypes.c_uint64
    found.board_port_read.restype = found.board_entropy.restype = ctypes.c_size_t
    found.board_watchdog_start.restype = found.board_stream_write.restype = ctypes.c_bool
    found.board_pin_fired.restype = found.board_pin_trigger.restype = ctypes.c_bool
    return found


@pytest.fixture
def part(library: ctypes.CDLL) -> SimulatedNrf52:
    return SimulatedNrf52(library)


def erase(part: SimulatedNrf52, offset: int, length: int) -> int:
    return int(part.library.flash_erase(offset, ctypes.c_size_t(length)))


def program(part: SimulatedNrf52, offset: int, data: bytes) -> int:
    return int(part.library.flash_program(offset, data, ctypes.c_size_t(len(data))))


OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.integers(0, 3), st.none()),
        st.tuples(st.integers(0, 40), st.binary(min_size=4, max_size=16).map(lambda d: d[:-3] * 4)),
    ),
    max_size=12,
)


@given(OPERATIONS)
def test_flash_holds_what_was_programmed_and_nothing_else(
    library: ctypes.CDLL, operations: list[tuple[int, bytes | None]]
) -> None:
    part, model = SimulatedNrf52(library), bytearray(b"\xff" * 4 * PAGE)
    written: dict[int, int] = {}
    for where, data in operations:
        if data is None:
            assert erase(part, STORE + where * PAGE, PAGE) == OK
            model[where * PAGE : (where + 1) * PAGE] = b"\xff" * PAGE
            written = {at: n for at, n in written.items() if at // PAGE != where}
            continue
        at = where * 4
        words = range(at, at + len(data), 4)
        now = model[at : at + len(data)]
        if any(new & ~old for new, old in zip(data, now, strict=True)):
            assert program(part, STORE + at, data) == NOT_ERASED
        elif all(written.get(word, 0) < 2 for word in words):
            changes = [w for w in words if data[w - at : w - at + 4] != model[w : w + 4]]
            written |= {word: written.get(word, 0) + 1 for word in changes}
            assert program(part, STORE + at, data) == OK
            model[at : at + len(data)] = data
    assert part.flash[STORE : STORE + len(model)] == model
    assert part.flash[:STORE] == b"\xff" * STORE


def test_flash_refuses_what_is_no_whole_page_or_word(part: SimulatedNrf52) -> None:
    assert erase(part, STORE + 4, PAGE) == erase(part, FLASH_SIZE, PAGE) == RANGE
    assert program(part, STORE + 2, b"1234") == program(part, FLASH_SIZE, b"1234") == RANGE


def test_boot_and_secret_are_closed_until_the_next_reset(part: SimulatedNrf52) -> None:
    assert program(part, 0, b"boot") == program(part, SECRETS, b"uds!") == OK
    part.library.board_lock_flash()
    before = bytes(part.flash)
    for place in (0, SECRETS):
        assert erase(part, place, PAGE) == FAILED
    assert program(part, 4, b"evil") == FAILED
    assert program(part, SECRETS + 4, b"\xff\xff\xff\xfe") == NOT_ERASED  # it reads as 0
    assert bytes(part.flash) == before
    assert erase(part, STORE, PAGE) == program(part, STORE, b"fine") == OK
    part.library.board_lock_flash()  # cannot be taken back either, whatever is written there
    assert erase(part, 0, PAGE) == FAILED


def test_debug_port_is_closed_once_and_the_flash_is_read_only_again(part: SimulatedNrf52) -> None:
    assert part.registers[APPROTECT] & 0xFF == 0xFF  # open, as it left the factory
    for _ in range(2):
        part.library.board_lock_debug()
        assert part.registers[APPROTECT] == 0xFFFF_FF00
        assert part.registers[NVMC + 0x504] == 0


def test_the_management_port_moves_bytes_both_ways(part: SimulatedNrf52) -> None:
    part.library.board_init()
    part.library.board_port_use_interrupts()
    assert part.library.board_port_write(b"hello", ctypes.c_size_t(5)) == 5
    while part.interrupts(UART0):
        part.library.board_interrupt(BOARD.management.irq_rx)
    assert bytes(part.sent[UART0]) == b"hello"
    heard, out = b"", ctypes.create_string_buffer(64)
    for piece in (b"an", b"swer\n"):
        part.receive(UART0, piece)
        while part.interrupts(UART0):
            part.library.board_interrupt(BOARD.management.irq_rx)
        count = part.library.board_port_read(out, ctypes.c_size_t(64))
        heard += out.raw[:count]
    assert heard == b"answer\n"


def test_the_stream_sends_by_dma_out_of_the_monitors_memory(part: SimulatedNrf52) -> None:
    part.library.board_init()
    part.library.board_stream_start(0)
    assert part.library.board_stream_write(0, b"to the host", ctypes.c_size_t(11))
    while part.interrupts(UARTE1):
        part.library.board_interrupt(BOARD.stream[0].irq_tx)
    assert bytes(part.sent[UARTE1]) == b"to the host"
    part.receive(UARTE1, b"ab\n")
    while part.interrupts(UARTE1):
        part.library.board_interrupt(BOARD.stream[0].irq_rx)
    out = ctypes.create_string_buffer(8)
    count = part.library.board_stream_read(0, out, ctypes.c_size_t(8))
    assert out.raw[:count] == b"ab\n"


def test_random_bytes_are_the_generators_or_none(part: SimulatedNrf52) -> None:
    part.library.board_init()
    part.random.extend(range(1, 9))
    out = ctypes.create_string_buffer(8)
    assert part.library.board_entropy(out, ctypes.c_size_t(8)) == 8
    assert out.raw == bytes(range(1, 9))
    part.random.extend(b"abc")  # then it falls silent
    assert part.library.board_entropy(out, ctypes.c_size_t(8)) == 0


def test_the_watchdog_counts_32768_a_second_and_is_fed_by_its_word(part: SimulatedNrf52) -> None:
    assert part.library.board_watchdog_start(5000)
    assert part.registers[WDT + 0x504] == 5 * 32_768
    assert part.registers[WDT] == 1
    part.library.board_watchdog_feed()
    assert part.registers[WDT + 0x600] == 0x6E52_4635
    assert not part.library.board_watchdog_start(0)


@pytest.mark.parametrize(("reasons", "cause"), [(0, 1), (1 << 2, 2), (1 << 1, 3), (1, 0)])
def test_the_cause_of_a_reset_is_told_once(part: SimulatedNrf52, reasons: int, cause: int) -> None:
    part.registers[CLOCK + 0x400] = reasons
    assert part.library.board_reset_cause() == cause
    assert part.registers[CLOCK + 0x400] == 0


def test_time_goes_on_across_the_counters_wrap(part: SimulatedNrf52) -> None:
    part.library.board_init()
    part.us = (1 << 32) - 3
    before = part.library.board_microseconds()
    part.us += 10
    assert part.library.board_microseconds() == before + 11


def test_a_pin_fires_at_the_edge_it_was_asked_for_and_no_other(part: SimulatedNrf52) -> None:
    pin, rising = 10, 8  # PIN_RISING
    part.set_pin(pin, high=True)
    assert part.library.board_pin_trigger(pin, rising)
    part.set_pin(pin, high=False)
    assert not part.library.board_pin_fired(pin)
    part.set_pin(pin, high=True)
    assert part.library.board_pin_fired(pin)
    part.set_pin(pin, high=False)
    part.set_pin(pin, high=True)
    assert not part.library.board_pin_fired(pin), "once until it is triggered anew"


def test_an_open_drain_pin_drives_low_only(part: SimulatedNrf52) -> None:
    part.library.board_pin_mode(10, 2, 1, 2)  # open drain, pull up, released
    assert part.registers[P0 + 0x700 + 40] == 1 | 3 << 2 | 6 << 8
    assert part.registers[P0 + 0x508] == 1 << 10
