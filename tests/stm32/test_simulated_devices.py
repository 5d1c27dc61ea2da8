# SPDX-License-Identifier: Apache-2.0
"""The simulated flash controller refuses what RM0090 says the real one refuses."""

from __future__ import annotations

import mmap

import pytest

from flasher.stm32.devices import (
    FLASH_BASE,
    FLASH_SIZE,
    SECTOR_SIZES,
    SimulatedClockControl,
    SimulatedFlashController,
    prescaler_for_emulator,
)

KEYS = (0x45670123, 0xCDEF89AB)
PG, SER, STRT, LOCK = 1, 2, 1 << 16, 1 << 31
WORD = 2 << 8
SEQUENCE, PARALLELISM, ALIGNMENT = 1 << 7, 1 << 6, 1 << 5


@pytest.fixture
def memory() -> mmap.mmap:
    file = mmap.mmap(-1, FLASH_SIZE)
    file[:] = b"\xff" * FLASH_SIZE
    return file


@pytest.fixture
def flash(memory: mmap.mmap) -> SimulatedFlashController:
    return SimulatedFlashController(memory)


def unlock(flash: SimulatedFlashController) -> None:
    for key in KEYS:
        flash.write(flash.KEYR, key)


def test_nothing_is_written_while_it_is_locked(
    flash: SimulatedFlashController, memory: mmap.mmap
) -> None:
    flash.write(flash.CR, PG | WORD)
    flash.program(FLASH_BASE, 0, 4)
    assert memory[:4] == b"\xff" * 4
    assert flash.read(flash.SR) == SEQUENCE


def test_programming_clears_bits_and_only_erasing_sets_them(
    flash: SimulatedFlashController, memory: mmap.mmap
) -> None:
    unlock(flash)
    flash.write(flash.CR, PG | WORD)
    flash.program(FLASH_BASE + 0x4000, 0x0F0F0F0F, 4)
    flash.program(FLASH_BASE + 0x4000, 0xF0F0F0FF, 4)
    assert memory[0x4000:0x4004] == bytes.fromhex("0f000000")
    assert flash.read(flash.SR) == 0
    flash.write(flash.CR, SER | 1 << 3)
    flash.write(flash.CR, SER | 1 << 3 | STRT)
    assert memory[0x4000:0x4004] == b"\xff" * 4
    assert flash.changes[-1] == (FLASH_BASE + 0x4000, b"\xff" * 0x4000)


@pytest.mark.parametrize("sector", range(12))
def test_erase_touches_one_sector(
    flash: SimulatedFlashController, memory: mmap.mmap, sector: int
) -> None:
    memory[:] = bytes(FLASH_SIZE)
    unlock(flash)
    flash.write(flash.CR, SER | sector << 3)
    flash.write(flash.CR, SER | sector << 3 | STRT)
    start = sum(SECTOR_SIZES[:sector])
    assert memory.find(b"\xff") == start
    assert memory[:].count(b"\xff") == SECTOR_SIZES[sector]


@pytest.mark.parametrize(
    ("control", "address", "size", "error"),
    [
        (WORD, 0, 4, SEQUENCE),
        (PG, 0, 4, PARALLELISM),
        (PG | WORD, 0, 1, PARALLELISM),
        (PG | WORD, 2, 4, ALIGNMENT),
        (PG | SER | WORD, 0, 4, SEQUENCE),
    ],
)
def test_wrong_program_is_an_error_until_it_is_cleared(
    flash: SimulatedFlashController,
    memory: mmap.mmap,
    control: int,
    address: int,
    size: int,
    error: int,
) -> None:
    unlock(flash)
    flash.write(flash.CR, control)
    flash.program(FLASH_BASE + address, 0, size)
    assert flash.read(flash.SR) == error
    assert memory.find(b"\0") == -1
    flash.write(flash.SR, error)
    assert flash.read(flash.SR) == 0


@pytest.mark.parametrize("keys", [(0, *KEYS), (KEYS[1], *KEYS), (KEYS[0], 0, *KEYS)])
def test_wrong_key_closes_it_until_the_next_reset(
    flash: SimulatedFlashController, keys: tuple[int, ...]
) -> None:
    for key in keys:
        flash.write(flash.KEYR, key)
    assert flash.read(flash.CR) & LOCK
    flash.reset()
    unlock(flash)
    assert not flash.read(flash.CR) & LOCK


def test_clocks_are_ready_when_they_are_on_and_switched_when_asked() -> None:
    clocks = SimulatedClockControl()
    clocks.write(clocks.CR, 1 << 16 | 1 << 24)
    assert clocks.read(clocks.CR) == 1 << 16 | 1 << 17 | 1 << 24 | 1 << 25
    clocks.write(clocks.CFGR, 2)
    assert clocks.read(clocks.CFGR) == 2 | 2 << 2
    clocks.reset()
    assert clocks.read(clocks.CFGR) == 0


@pytest.mark.parametrize(("board", "emulator"), [(83, 999), (0, 10), (41, 499), (65_535, 65_535)])
def test_a_prescaler_is_scaled_to_the_emulators_rate(board: int, emulator: int) -> None:
    """84 MHz / 84 and 1 GHz / 1000 are the same; what 16 bits cannot hold is as slow as can be."""
    assert prescaler_for_emulator(board) == emulator
