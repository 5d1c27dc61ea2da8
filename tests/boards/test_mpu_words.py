# SPDX-License-Identifier: Apache-2.0
"""MPU words open exactly what was asked for, by a model of the unit written from its manual."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import boards
from boards.mpu import Access, MpuError, pmsav7_region, round_region
from boards.regions import region

BASES = st.integers(0, (1 << 32) - 1)


def opened(rbar: int, rasr: int) -> list[tuple[int, int]]:
    """The address ranges a region covers (Arm DDI 0403, B3.5.8 and B3.5.9)."""
    assert rasr & 1
    size = 1 << ((rasr >> 1 & 0x1F) + 1)
    assert size >= 32
    base = rbar & ~0x1F
    assert base % size == 0, "the unit ignores address bits below the size"
    disabled = rasr >> 8 & 0xFF
    assert not disabled or size >= 256, "subregions need 256 bytes"
    part = size // 8
    return [(base + n * part, part) for n in range(8) if not disabled >> n & 1]


def total(ranges: list[tuple[int, int]]) -> tuple[int, int]:
    for (start, length), (following, _) in itertools.pairwise(ranges):
        assert start + length == following, "the subregions are in one piece"
    return ranges[0][0], sum(length for _, length in ranges)


@given(st.integers(5, 31), st.integers(0, 1 << 27), st.integers(0, 7), st.integers(1, 8))
@settings(max_examples=300)
def test_region_opens_exactly_the_range(power: int, block: int, first: int, count: int) -> None:
    whole = 1 << power
    part = whole // 8 if whole >= 256 else whole
    if part == whole:
        first, count = 0, 1
    count = min(count, 8 - first)
    base, size = (block * whole) % (1 << 32) + first * part, count * part
    assume(base + size <= 1 << 32)
    rbar, rasr = pmsav7_region(3, base, size, Access.RAM)
    assert total(opened(rbar, rasr)) == (base, size)
    assert rbar & 0x1F == 0x10 | 3


@given(BASES, st.integers(1, 1 << 24))
@settings(max_examples=300)
def test_range_that_no_region_has_is_refused(base: int, size: int) -> None:
    """Never more, never less: words come out only for the very range."""
    try:
        rbar, rasr = pmsav7_region(0, base, size, Access.CODE)
    except MpuError:
        return
    assert total(opened(rbar, rasr)) == (base, size)


@given(st.integers(1, 1 << 30), st.integers(0, 3))
@settings(max_examples=300)
def test_rounded_size_is_legal_and_wastes_less_than_an_eighth(size: int, place: int) -> None:
    aligned, alignment = round_region(size)
    assert size <= aligned <= alignment
    base = (place * alignment) % (1 << 32)
    assume(base + aligned <= 1 << 32)
    pmsav7_region(0, base, aligned, Access.RAM)
    if alignment >= 256:
        assert aligned - size < alignment // 8
    else:
        assert aligned == alignment == max(32, 1 << (size - 1).bit_length())


def test_words_are_those_of_the_manual() -> None:
    """64 KiB of flash at 0, executable and read-only: worked by hand from DDI 0403."""
    assert pmsav7_region(2, 0, 0x1_0000, Access.CODE) == (0x12, 0x0602_001F)
    # 96 KiB: a region of 128 KiB whose last two subregions are off; RW for all, never executed.
    rbar, rasr = pmsav7_region(4, 0x2000_0000, 96 * 1024, Access.RAM)
    assert (rbar, rasr) == (0x2000_0014, 0x1306_C021)


@pytest.mark.parametrize(
    ("access", "executable", "privileged", "unprivileged"),
    [
        (Access.NONE, False, "none", "none"),
        (Access.PRIVILEGED_FLASH, False, "rw", "none"),
        (Access.PRIVILEGED_RAM, False, "rw", "none"),
        (Access.CODE, True, "r", "r"),
        (Access.READ, False, "rw", "r"),
        (Access.RAM, False, "rw", "rw"),
        (Access.DEVICE, False, "rw", "rw"),
    ],
)
def test_access_bits_mean_what_the_name_says(
    access: Access, executable: bool, privileged: str, unprivileged: str
) -> None:
    table = {0: ("none", "none"), 1: ("rw", "none"), 2: ("rw", "r"), 3: ("rw", "rw"), 6: ("r", "r")}
    assert table[access.value >> 24 & 7] == (privileged, unprivileged)
    assert bool(access.value >> 28 & 1) is not executable
    # Nothing is both writable and executable.
    assert not (executable and "w" in privileged + unprivileged)


def test_region_number_beyond_the_unit_is_refused() -> None:
    board = boards.load("mps2-an385")
    with pytest.raises(MpuError, match="8"):
        region(board.mpu, 8, 0, 32, Access.RAM)


@pytest.mark.parametrize(
    ("base", "size"), [(0, 16), (16, 32), (0, 100), (0xFFFF_FFE0, 64), (-32, 32)]
)
def test_ranges_outside_the_rules_say_so(base: int, size: int) -> None:
    with pytest.raises(MpuError):
        pmsav7_region(0, base, size, Access.RAM)
