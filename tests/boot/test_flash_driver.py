# SPDX-License-Identifier: Apache-2.0
"""The flash driver of the virtual board behaves like NOR flash, though what is below is RAM."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.boot.device import Kit, handoff_of
from tests.qemu import FlashFile, Machine, needs_qemu

pytestmark = needs_qemu

OK, RANGE, NOT_ERASED = 0, 1, 2  # enum flash_error, negated
AT = 0x20_0000  # behind everything the board keeps


@dataclass(frozen=True, slots=True)
class Driver:
    machine: Machine
    flash: FlashFile

    def erase(self, offset: int, length: int) -> int:
        return int(self.machine.ask(f"e{offset:08x}{length:08x}"))

    def program(self, offset: int, data: bytes) -> int:
        return int(self.machine.ask(f"p{offset:08x}{data.hex()}"))


@pytest.fixture
def driver(kit: Kit, tmp_path: Path) -> Iterator[Driver]:
    flash = kit.flash(tmp_path / "nv", kit.image(0))
    with kit.on(flash) as machine:
        handoff_of(machine)
        yield Driver(machine, flash)


def test_programming_clears_bits_and_only_erasing_sets_them(driver: Driver) -> None:
    assert driver.program(AT, bytes.fromhex("0ff0aa55")) == OK
    assert driver.flash.read(AT, 8).hex() == "0ff0aa55ffffffff"
    assert driver.program(AT, bytes.fromhex("0f00aa00")) == OK
    assert driver.program(AT, bytes.fromhex("0f01aa00")) == NOT_ERASED
    assert driver.flash.read(AT, 4).hex() == "0f00aa00"
    assert driver.erase(AT, 0x1000) == OK
    assert driver.program(AT, bytes.fromhex("ffffffff")) == OK
    assert driver.flash.read(AT, 0x1000) == b"\xff" * 0x1000


def test_refused_program_writes_nothing_at_all(driver: Driver) -> None:
    assert driver.program(AT + 8, bytes(4)) == OK
    assert driver.program(AT, b"\x11" * 8 + b"\x01\0\0\0") == NOT_ERASED
    assert driver.flash.read(AT, 12) == b"\xff" * 8 + bytes(4)


def test_erase_touches_its_blocks_alone(driver: Driver) -> None:
    for offset in (AT - 4, AT, AT + 0xFFC, AT + 0x1000):
        assert driver.program(offset, bytes(4)) == OK
    assert driver.erase(AT, 0x1000) == OK
    assert driver.flash.read(AT - 4, 8) == bytes(4) + b"\xff" * 4
    assert driver.flash.read(AT + 0xFFC, 8) == b"\xff" * 4 + bytes(4)


@pytest.mark.parametrize(
    ("offset", "length"),
    [
        (AT + 4, 0x1000),
        (AT, 0x800),
        (0x100_0000, 0x1000),
        (0xFF_F000, 0x2000),
        (0xFFFF_F000, 0x2000),
        (0, 0xFFFF_F000),
    ],
)
def test_erase_outside_the_geometry_is_refused(driver: Driver, offset: int, length: int) -> None:
    assert driver.erase(offset, length) == RANGE


@pytest.mark.parametrize(
    ("offset", "length"), [(AT + 2, 4), (AT, 6), (0x100_0000, 4), (0xFF_FFFC, 8)]
)
def test_program_outside_the_geometry_is_refused(driver: Driver, offset: int, length: int) -> None:
    assert driver.program(offset, bytes(length)) == RANGE
