# SPDX-License-Identifier: Apache-2.0
"""PMSAv8 words open exactly what was asked for, by a model of the unit written from its manual."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

import boards
from boards.mpu import Access, MpuError, round_region
from boards.pmsav8 import pmsav8_region
from boards.regions import no_region, region
from firmware.image.mpu_words import decode

MPU = boards.load("mps2-an505").mpu
GRAINS = st.integers(0, (1 << 27) - 1)


@dataclass(frozen=True, slots=True)
class Opened:
    """What MPU_RBAR and MPU_RLAR say (Arm DDI 0553, registers MPU_RBAR and MPU_RLAR)."""

    first: int
    last: int
    privileged: str
    unprivileged: str
    executable: bool
    device: bool


def opened(rbar: int, rlar: int) -> Opened:
    assert rlar & 1, "enabled"
    assert not rbar >> 3 & 3, "not shareable"
    rights = {0: ("rw", ""), 1: ("rw", "rw"), 2: ("r", ""), 3: ("r", "r")}[rbar >> 1 & 3]
    kind = rlar >> 1 & 7
    assert kind in (0, 1), "the two attributes of MAIR0 that the core sets"
    return Opened(rbar & ~31, rlar | 31, *rights, not rbar & 1, kind == 1)


@given(GRAINS, GRAINS, st.sampled_from([a for a in Access if a is not Access.NONE]))
def test_region_opens_exactly_the_range(start: int, grains: int, access: Access) -> None:
    base, size = start * 32, min(grains + 1, (1 << 27) - start) * 32
    found = opened(*pmsav8_region(base, size, access))
    assert (found.first, found.last) == (base, base + size - 1)


@pytest.mark.parametrize(
    ("access", "privileged", "unprivileged", "executable"),
    [
        (Access.PRIVILEGED_FLASH, "r", "", False),
        (Access.PRIVILEGED_RAM, "rw", "", False),
        (Access.CODE, "r", "r", True),
        (Access.READ, "r", "r", False),
        (Access.RAM, "rw", "rw", False),
        (Access.DEVICE, "rw", "rw", False),
    ],
)
def test_access_bits_mean_what_the_name_says(
    access: Access, privileged: str, unprivileged: str, executable: bool
) -> None:
    found = opened(*pmsav8_region(0x2000_0000, 64, access))
    assert (found.privileged, found.unprivileged) == (privileged, unprivileged)
    assert found.executable is executable
    assert not (executable and "w" in privileged + unprivileged)
    assert found.device is (access is Access.DEVICE)


@pytest.mark.parametrize(
    ("base", "size"), [(0, 16), (16, 32), (0, 33), (0, 0), (-32, 32), (0xFFFF_FFE0, 64)]
)
def test_range_that_no_region_has_is_refused(base: int, size: int) -> None:
    with pytest.raises(MpuError):
        pmsav8_region(base, size, Access.RAM)


def test_denying_everything_to_everybody_is_refused_not_approximated() -> None:
    with pytest.raises(MpuError, match="NONE"):
        region(MPU, 7, 0x8018_0000, 0x1000, Access.NONE)


@given(st.integers(1, 1 << 24))
def test_rounded_size_is_the_next_granule(size: int) -> None:
    rounded, alignment = round_region(size, "pmsav8")
    assert size <= rounded < size + 32
    assert (rounded % 32, alignment) == (0, 32)


@given(GRAINS, st.integers(1, 1 << 16), st.sampled_from([Access.RAM, Access.CODE, Access.READ]))
def test_audit_reads_back_what_was_written(start: int, grains: int, access: Access) -> None:
    base, size = start * 32, min(grains, (1 << 27) - start) * 32
    words = region(MPU, 4, base, size, access)
    (area,) = decode((words.rbar, words.attributes), MPU.flavour)
    assert (area.base, area.size) == (base, size)
    assert (area.writable, area.executable) == (access is Access.RAM, access is Access.CODE)


def test_audit_sees_nothing_open_where_only_privileged_code_may_go() -> None:
    for access in (Access.PRIVILEGED_FLASH, Access.PRIVILEGED_RAM):
        words = region(MPU, 0, 0x2800_0000, 0x1000, access)
        assert list(decode((words.rbar, words.attributes), MPU.flavour)) == []
    words = no_region(MPU, 5)
    assert list(decode((words.rbar, words.attributes), MPU.flavour)) == []
