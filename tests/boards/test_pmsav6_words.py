# SPDX-License-Identifier: Apache-2.0
"""PMSAv6 words: made by boards/mpu.py, read back by the audit, enforced by the emulated core."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import boards
from boards.mpu import Access, MpuError, round_region
from boards.regions import no_region, region
from firmware.image.mpu_words import Area, decode

pytest.importorskip("rp2040py")

from flasher.pico.processor import Processor

MPU = boards.load("rpi-pico").mpu
RAM, RAM_SIZE = 0x2000_0000, 0x4_2000
CODE, STACK, HANDLER = RAM + 0x1000, RAM + 0x4_0000, RAM + 0x3000
PLACES = RAM + 0x1_0000
NUMBER = 4
RIGHTS = {
    Access.RAM: "rw",
    Access.READ: "r",
    Access.CODE: "rx",
    Access.NONE: "",
    Access.PRIVILEGED_RAM: "",
}
# stmia r0!, {r1, r2}; str r1, [r0]; msr control, r1; ldr r0, [r1]; str r0, [r1]; blx r1; bx lr
STORE_TWO, STORE, CONTROL = "06c0", "0160", "81f31488"
LOAD, WRITE, CALL, RETURN = "0868", "0860", "8847", "7047"
NOTHING = "00bf"
RBAR, CTRL = 0xE000_ED9C, 0xE000_ED94


class Unit:
    """The emulated processor with one region for its own code and one under test."""

    def __init__(self) -> None:
        self._ram = bytearray(RAM_SIZE)
        vectors = [STACK] + [HANDLER | 1] * 47
        rom = b"".join(word.to_bytes(4, "little") for word in vectors).ljust(0x4000, b"\0")
        self._core = Processor(
            rom,
            memoryview(bytearray(0x1000)),
            memoryview(self._ram),
            memoryview(bytearray(0x1000)),
            lambda _address, _size: 0,
            lambda _address, _size, _value: None,
        )
        self._ram[PLACES - RAM :] = bytes.fromhex(RETURN) * ((RAM_SIZE - (PLACES - RAM)) // 2)
        self._put(HANDLER, "fee7")

    def _put(self, address: int, code: str) -> None:
        data = bytes.fromhex(code)
        self._ram[address - RAM : address - RAM + len(data)] = data

    def _run(self, code: str, *registers: int) -> None:
        self._put(CODE, code + NOTHING)
        values = [*registers, *[0] * 16][:16]
        values[13], values[15] = STACK, CODE
        self._core.set_registers(tuple(values))
        self._core.run(self._core.cycles + 1)

    def _prepare(self, words: tuple[int, int]) -> None:
        self._core.reset()
        own = region(MPU, 0, CODE, 256, Access.CODE)
        stack = region(MPU, 1, STACK - 256, 256, Access.RAM)
        for pair in ((own.rbar, own.attributes), (stack.rbar, stack.attributes), words):
            self._run(STORE_TWO, RBAR, *pair)
        self._run(STORE, CTRL, 5)
        self._run(CONTROL, 0, 1)

    def allows(self, words: tuple[int, int], code: str, address: int) -> bool:
        """Whether unprivileged code may do that there."""
        self._prepare(words)
        faults = self._core.faults
        self._run(code, RAM, address | (1 if code == CALL else 0))
        self._core.run(self._core.cycles + 1)  # the first instruction of what was called
        return self._core.faults == faults


@pytest.fixture(scope="module")
def unit() -> Unit:
    return Unit()


@st.composite
def _ranges(draw: st.DrawFn) -> tuple[int, int]:
    """A base and a size in RAM that one region expresses."""
    exponent = draw(st.integers(8, 15))
    part = (1 << exponent) // 8
    start = PLACES + draw(st.integers(0, 3)) * (1 << exponent)
    first = draw(st.integers(0, 7))
    count = draw(st.integers(1, 8 - first))
    return start // (1 << exponent) * (1 << exponent) + first * part, count * part


@given(_ranges(), st.sampled_from(sorted(RIGHTS, key=str)))
@settings(max_examples=60, deadline=None)
def test_words_open_exactly_the_range_to_the_emulated_unit(
    unit: Unit, place: tuple[int, int], access: Access
) -> None:
    base, size = place
    words = region(MPU, NUMBER, base, size, access)
    pair = (words.rbar, words.attributes)
    rights = RIGHTS[access]
    for address in (base, base + size - 4):
        assert unit.allows(pair, LOAD, address) == ("r" in rights)
        assert unit.allows(pair, WRITE, address) == ("w" in rights)
        assert unit.allows(pair, CALL, address) == ("x" in rights)
    for address in (base - 4, base + size):
        assert not unit.allows(pair, LOAD, address)


@given(_ranges(), st.sampled_from([Access.RAM, Access.READ, Access.CODE]))
def test_audit_reads_the_same_range(place: tuple[int, int], access: Access) -> None:
    words = region(MPU, NUMBER, *place, access)
    expected = Area(*place, access is Access.RAM, access is Access.CODE)
    assert list(decode((words.rbar, words.attributes), "pmsav6")) == [expected]


@given(st.integers(1, 1 << 20))
def test_rounded_sizes_can_be_expressed(size: int) -> None:
    rounded, alignment = round_region(size, "pmsav6")
    assert size <= rounded <= max(32, size + alignment // 8)
    region(MPU, NUMBER, 16 * alignment, rounded, Access.RAM)


def test_smallest_region_is_an_eighth_of_256_bytes() -> None:
    words = region(MPU, 5, 0xD000_0000, 0x40, Access.DEVICE)
    assert words.attributes >> 1 & 31 == 7  # 2^8 bytes
    assert words.attributes >> 8 & 0xFF == 0b1111_1100
    with pytest.raises(MpuError):
        region(MPU, 5, 0xD000_0000, 0x30, Access.DEVICE)


def test_region_that_is_off_names_its_number() -> None:
    assert no_region(MPU, 6).rbar == 0x16
