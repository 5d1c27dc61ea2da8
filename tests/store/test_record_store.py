# SPDX-License-Identifier: Apache-2.0
"""The record store against a model, with the power cut at every word and every erase."""

from __future__ import annotations

import ctypes
import itertools
import struct
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.store.host_library import RUNTIME, load_library
from tests.store.store_model import records_in

HERE = Path(__file__).parent
POWER_CUT = 99
STORE_NOT_FOUND, STORE_SIZE, STORE_FLASH, STORE_KEY = -1, -2, -3, -4
CUTS = {"before": 0, "torn": 1, "after": 2}

Put = tuple[int, bytes]


class StoreStruct(ctypes.Structure):
    _fields_ = (
        ("offset", ctypes.c_uint32),
        ("bank_size", ctypes.c_uint32),
        ("sequence", ctypes.c_uint32),
        ("end", ctypes.c_uint32),
        ("bank", ctypes.c_uint8),
        ("sealed", ctypes.c_uint8),
    )


@dataclass(frozen=True, slots=True)
class SimulatedStore:
    """The C store over a flash in RAM with blocks of 64 bytes and banks of `bank_size`."""

    library: ctypes.CDLL
    unit: int
    size: int
    offset: int
    bank_size: int

    @property
    def flash(self) -> bytes:
        return ctypes.string_at(self.library.simulated_bytes(), self.size)

    def set_flash(self, content: bytes) -> None:
        ctypes.memmove(self.library.simulated_bytes(), content, len(content))

    def erase_everything(self) -> None:
        self.set_flash(b"\xff" * self.size)

    def open(self) -> StoreStruct:
        store = StoreStruct()
        self.library.store_open(ctypes.byref(store), self.offset, self.bank_size)
        return store

    def get(self, store: StoreStruct, key: int) -> bytes | None:
        buffer = ctypes.create_string_buffer(self.bank_size)
        length = self.library.store_get(ctypes.byref(store), key, buffer, len(buffer))
        return None if length == STORE_NOT_FOUND else buffer.raw[:length]

    def put(self, store: StoreStruct, key: int, data: bytes) -> int:
        return int(self.library.simulated_put(ctypes.byref(store), key, data, len(data)))

    def arm(self, cut_at: int = -1, cut: int = 0, seed: int = 1, fail_at: int = -1) -> None:
        self.library.simulated_arm(cut_at, cut, seed, fail_at)

    def steps(self) -> int:
        return int(self.library.simulated_steps())

    def all(self, store: StoreStruct) -> dict[int, bytes]:
        found = {key: self.get(store, key) for key in range(1, 24)}
        return {key: value for key, value in found.items() if value is not None}


def build(directory: Path, unit: int, bank_size: int) -> SimulatedStore:
    size = 64 + 2 * bank_size
    (directory / "board_config.h").write_text(
        f"#define BOARD_FLASH_SIZE {size}u\n"
        "#define BOARD_FLASH_ERASE_SIZE 64u\n"
        f"#define BOARD_FLASH_PROGRAM_SIZE {unit}u\n"
    )
    sources = [
        *sorted((RUNTIME / "store").glob("*.c")),
        HERE / "simulated_flash.c",
    ]
    library = load_library(sources, directory, directory / "store.so")
    library.simulated_bytes.restype = ctypes.c_void_p
    library.store_find.restype = ctypes.c_void_p
    for function in ("store_get", "simulated_put"):
        getattr(library, function).argtypes = (
            ctypes.c_void_p,
            ctypes.c_uint8,
            ctypes.c_char_p,
            ctypes.c_size_t,
        )
    return SimulatedStore(library, unit, size, 64, bank_size)


@pytest.fixture(scope="module", params=[4, 16], ids=["words", "quadwords"])
def small(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> SimulatedStore:
    """Banks that hold a handful of records, so that compaction is as common as appending."""
    return build(tmp_path_factory.mktemp("store"), request.param, 256)


@pytest.fixture
def store(small: SimulatedStore) -> SimulatedStore:
    small.erase_everything()
    small.arm()
    return small


puts = st.lists(
    st.tuples(st.integers(1, 4), st.binary(max_size=14)),
    min_size=1,
    max_size=14,
)
slow = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def test_an_erased_flash_is_an_empty_store(store: SimulatedStore) -> None:
    assert store.all(store.open()) == {}


def test_a_flash_full_of_zeros_is_an_empty_store_and_can_be_written(store: SimulatedStore) -> None:
    store.set_flash(bytes(store.size))
    opened = store.open()
    assert store.all(opened) == {}
    assert store.put(opened, 1, b"one") == 0
    assert store.all(store.open()) == {1: b"one"}


@slow
@given(content=st.binary(min_size=576, max_size=576), data=st.binary(max_size=20))
def test_any_content_opens_and_can_be_written(
    store: SimulatedStore, content: bytes, data: bytes
) -> None:
    store.set_flash(content)
    opened = store.open()
    before = store.all(opened)
    assert store.put(opened, 9, data) == 0
    assert store.all(store.open()) == before | {9: data}


@slow
@given(sequence=puts)
def test_what_was_put_is_found_by_the_c_and_by_the_model(
    store: SimulatedStore, sequence: list[Put]
) -> None:
    store.erase_everything()
    opened = store.open()
    expected: dict[int, bytes] = {}
    for key, data in sequence:
        assert store.put(opened, key, data) == 0
        expected[key] = data
        assert store.all(opened) == expected
        assert store.all(store.open()) == expected
        assert records_in(store.flash, store.offset, store.bank_size, store.unit) == expected
    assert store.flash[: store.offset] == b"\xff" * store.offset, "written outside its area"


def inverse(data: bytes) -> bytes:
    """Needs a 1 wherever `data`, or what a cut left of it, may have cleared a bit."""
    return bytes(byte ^ 0xFF for byte in data) + b"\xff\x00\xff"


def check_after_cut(
    store: SimulatedStore, acknowledged: dict[int, bytes], key: int, data: bytes
) -> None:
    """Old or new, whole; and the store still takes it, or one that differs in every bit."""
    opened = store.open()
    found = store.all(opened)
    assert found in (acknowledged, acknowledged | {key: data})
    flash = store.flash
    store.arm()
    assert store.put(opened, key, data) == 0
    assert store.all(store.open()) == acknowledged | {key: data}
    store.set_flash(flash)
    opened, opposite = store.open(), inverse(data)
    assert store.put(opened, key, opposite) == 0
    assert store.all(opened) == store.all(store.open()) == acknowledged | {key: opposite}


@slow
@given(sequence=puts, seed=st.integers(1, 2**32 - 1))
def test_power_cut_at_every_word_and_erase_loses_no_acknowledged_record(
    store: SimulatedStore, sequence: list[Put], seed: int
) -> None:
    store.erase_everything()
    acknowledged: dict[int, bytes] = {}
    for key, data in sequence:
        before = store.flash
        store.arm()
        assert store.put(store.open(), key, data) == 0
        after, steps = store.flash, store.steps()
        for step in range(steps):
            for cut in CUTS.values():
                store.set_flash(before)
                store.arm(step, cut, seed + step)
                assert store.put(store.open(), key, data) == POWER_CUT
                check_after_cut(store, acknowledged, key, data)
        store.set_flash(after)
        acknowledged[key] = data


@slow
@given(
    sequence=puts,
    cuts=st.lists(
        st.tuples(st.integers(0, 60), st.sampled_from(list(CUTS.values())), st.integers(1, 2**31)),
        min_size=1,
        max_size=40,
    ),
)
def test_power_cuts_one_after_the_other_lose_nothing(
    store: SimulatedStore, sequence: list[Put], cuts: list[tuple[int, int, int]]
) -> None:
    """Each put is tried again, every attempt but the last cut short; odd ones try the opposite."""
    store.erase_everything()
    store.arm()
    acknowledged: dict[int, bytes] = {}
    remaining = list(cuts)
    for key, data in sequence:
        while remaining:
            step, cut, seed = remaining.pop()
            store.arm(step, cut, seed)
            tried = inverse(data) if len(remaining) % 2 else data
            result = store.put(store.open(), key, tried)
            assert result in (0, POWER_CUT)
            found = store.all(store.open())
            assert found in (
                (acknowledged | {key: tried},)
                if result == 0
                else (acknowledged, acknowledged | {key: tried})
            )
            acknowledged = found
            if result == 0:
                break
        else:
            store.arm()
            assert store.put(store.open(), key, data) == 0
            acknowledged[key] = data
        assert store.all(store.open()) == acknowledged


@slow
@given(sequence=puts)
def test_a_flash_that_fails_keeps_what_was_acknowledged(
    store: SimulatedStore, sequence: list[Put]
) -> None:
    store.erase_everything()
    acknowledged: dict[int, bytes] = {}
    for key, data in sequence:
        before = store.flash
        store.arm()
        assert store.put(store.open(), key, data) == 0
        after, steps = store.flash, store.steps()
        nexts = (inverse(data), b"")  # one that needs new room, one that may fit where this did not
        for step, cut, then in itertools.product(range(steps), CUTS.values(), nexts):
            store.set_flash(before)
            store.arm(cut=cut, fail_at=step)
            opened = store.open()
            assert store.put(opened, key, data) == STORE_FLASH
            # The same handle goes on working, as the monitor's does, and agrees with the next boot.
            assert store.all(opened) in (acknowledged, acknowledged | {key: data})
            store.arm()
            assert store.put(opened, key, then) == 0
            assert store.all(opened) == store.all(store.open()) == acknowledged | {key: then}
        store.set_flash(after)
        acknowledged[key] = data


def test_a_record_inside_a_torn_records_payload_never_surfaces(store: SimulatedStore) -> None:
    """The payload is hostile: a whole record for the security counter, cut off just behind it."""
    opened = store.open()
    assert store.put(opened, 2, b"\x09\x00\x00\x00") == 0
    scratch = store.flash
    store.erase_everything()
    fresh = store.open()
    assert store.put(fresh, 2, b"\x01\x00\x00\x00") == 0
    start = fresh.end - -(-12 // store.unit) * store.unit
    bank = store.offset + fresh.bank * store.bank_size
    forged = store.flash[bank + fresh.end - start : bank + fresh.end]
    hostile = b"\xff" * (-4 % store.unit) + forged + b"more"
    store.set_flash(scratch)
    store.arm()
    assert store.put(store.open(), 4, hostile) == 0
    steps = store.steps()
    for step in range(steps):
        for cut in CUTS.values():
            store.set_flash(scratch)
            store.arm(step, cut, 7)
            assert store.put(store.open(), 4, hostile) == POWER_CUT
            assert store.get(store.open(), 2) == b"\x09\x00\x00\x00"


@pytest.mark.parametrize("words", [1, 2])
def test_a_torn_bank_header_does_not_count(store: SimulatedStore, words: int) -> None:
    """Cut inside the header, whatever bits of the sequence number were not cleared yet."""
    opened = store.open()
    assert store.put(opened, 1, b"kept") == 0
    flash, other = store.flash, store.offset + (1 - opened.bank) * store.bank_size
    for torn in range(opened.sequence, opened.sequence + 64):
        header = struct.pack("<III", 0x53524643, torn, 0xFFFFFFFF)[: 4 * words + 4]
        store.set_flash(flash[:other] + header + flash[other + len(header) :])
        assert store.all(store.open()) == {1: b"kept"}


def test_the_same_record_again_writes_nothing(store: SimulatedStore) -> None:
    opened = store.open()
    assert store.put(opened, 1, b"same") == 0
    store.arm()
    assert store.put(opened, 1, b"same") == 0
    assert store.steps() == 0


def test_a_record_too_long_is_refused_and_changes_nothing(store: SimulatedStore) -> None:
    opened = store.open()
    assert store.put(opened, 1, b"keep") == 0
    for length in (store.bank_size, store.bank_size - 20, 70_000):
        assert store.put(opened, 2, bytes(length)) == STORE_SIZE
        assert store.all(opened) == store.all(store.open()) == {1: b"keep"}


def test_records_that_fill_a_bank_are_all_kept(store: SimulatedStore) -> None:
    opened, expected = store.open(), {}
    for key in range(1, 24):
        result = store.put(opened, key, bytes([key]) * 12)
        assert result in (0, STORE_SIZE)
        if result == 0:
            expected[key] = bytes([key]) * 12
        assert store.all(store.open()) == store.all(opened) == expected
    assert len(expected) >= 5


def test_a_buffer_too_small_gets_nothing(store: SimulatedStore) -> None:
    opened = store.open()
    assert store.put(opened, 1, b"longer") == 0
    buffer = ctypes.create_string_buffer(b"....", 4)
    assert store.library.store_get(ctypes.byref(opened), 1, buffer, 4) == STORE_SIZE
    assert buffer.raw == b"...."


@pytest.mark.parametrize("key", [0, 255])
def test_keys_that_look_like_flash_content_are_refused(store: SimulatedStore, key: int) -> None:
    assert store.put(store.open(), key, b"x") == STORE_KEY


def test_the_sequence_number_may_wrap(store: SimulatedStore) -> None:
    opened = store.open()
    assert store.put(opened, 1, b"old") == 0
    opened.sequence = 0xFFFFFFFF
    opened.sealed = 1
    assert store.put(opened, 1, b"wrapped") == 0
    assert opened.sequence == 0
    assert store.put(opened, 2, b"next") == 0
    assert store.all(opened) == {1: b"wrapped", 2: b"next"}
