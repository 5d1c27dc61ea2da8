# SPDX-License-Identifier: Apache-2.0
"""Register words of a memory protection unit, and the sizes it can express.

PMSAv7 (Arm DDI 0403, sections B3.5.8 and B3.5.9): a region is a power of two from 32 bytes, aligned
to its size; from 256 bytes on it has eight equal subregions, each of which can be switched off.
PMSAv6 (Arm DDI 0419, section B3.5) has the same words without TEX, and no region below 256 bytes;
PMSAv8 takes other words (`boards/pmsav8.py`). `boards/regions.py` is where they branch.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

SMALLEST = 32
SMALLEST_WITH_SUBREGIONS = 256
SUBREGIONS = 8

RBAR_VALID = 1 << 4
_RASR_ENABLE = 1
_XN = 1 << 28
# AP field, DDI 0403 table B3-15: privileged / unprivileged.
_NONE, _RW_NONE, _RW_RO, _RW_RW, _RO_NONE, _RO_RO = 0, 1, 2, 3, 5, 6
# TEX = 0. C, B and S as the Cortex-M3 Generic User Guide (DUI 0552), "MPU configuration for a
# microcontroller", advises.
_FLASH = 1 << 17  # normal, write-through, not shared
_RAM = 1 << 17 | 1 << 18  # normal, write-through, shared
_DEVICE = 1 << 16 | 1 << 18


class MpuError(ValueError):
    """A range that no single region of the unit can express."""


class Access(Enum):
    """Who may do what. The value is the RASR's access and memory attribute bits."""

    NONE = _NONE << 24 | _XN | _FLASH
    PRIVILEGED_FLASH = _RW_NONE << 24 | _XN | _FLASH
    PRIVILEGED_RAM = _RW_NONE << 24 | _XN | _RAM
    CODE = _RO_RO << 24 | _FLASH
    READ = _RW_RO << 24 | _XN | _FLASH  # for tasks; the monitor writes flash
    RAM = _RW_RW << 24 | _XN | _RAM
    DEVICE = _RW_RW << 24 | _XN | _DEVICE


@dataclass(frozen=True, slots=True)
class RegionWords:
    """Two register words; `attributes` is the RASR, on PMSAv8 the RLAR."""

    rbar: int
    attributes: int


def round_region(size: int, flavour: str = "pmsav7") -> tuple[int, int]:
    """A range of at least `size` bytes that one region can express: (size, alignment), bytes.

    Below 256 bytes a power of two; from there on a multiple of an eighth of the next power of two,
    counted from the aligned base. On PMSAv6 eighths of 256 bytes at least, on PMSAv8 whole granules
    of 32 bytes.
    """
    if size <= 0:
        raise MpuError(f"a region of {size} bytes")
    if flavour == "pmsav8":
        return -(-size // SMALLEST) * SMALLEST, SMALLEST
    whole = max(smallest_region(flavour), 1 << (size - 1).bit_length())
    if whole < SMALLEST_WITH_SUBREGIONS:
        return whole, whole
    part = whole // SUBREGIONS
    return -(-size // part) * part, whole


def smallest_region(flavour: str) -> int:
    """The smallest region, its switched-off parts included; bytes."""
    return SMALLEST_WITH_SUBREGIONS if flavour == "pmsav6" else SMALLEST


def pmsav7_region(
    number: int, base: int, size: int, access: Access, smallest: int = SMALLEST
) -> tuple[int, int]:
    """(RBAR, RASR) of region `number` (0..15) that opens exactly [base, base + size).

    `smallest`: the unit's smallest region, switched-off parts included; 256: PMSAv6's words.

    RBAR has VALID and the region number, so that the two words can be written without touching RNR.
    Raises MpuError if one region cannot express the range, or it leaves the 32-bit address space.
    """
    if not 0 <= number <= 15:
        raise MpuError(f"region number {number} is outside 0..15")
    if base < 0 or size < SMALLEST or base + size > 1 << 32:
        limits = f"{SMALLEST} bytes and the end of memory"
        raise MpuError(f"{size:#x} bytes at {base:#x}: not between {limits}")
    for exponent in range(smallest.bit_length() - 1, 33):
        whole = 1 << exponent
        start = base & ~(whole - 1)
        if base + size > start + whole:
            continue
        part = whole // SUBREGIONS
        if (start, whole) == (base, size):
            disabled = 0
        elif whole >= SMALLEST_WITH_SUBREGIONS and base % part == 0 and size % part == 0:
            first, count = (base - start) // part, size // part
            disabled = 0xFF & ~(((1 << count) - 1) << first)
        else:
            continue
        size_field = exponent - 1  # 2^(SIZE + 1) bytes
        rasr = access.value | disabled << 8 | size_field << 1 | _RASR_ENABLE
        return start | RBAR_VALID | number, rasr
    raise MpuError(
        f"{size:#x} bytes at {base:#x}: no region has that base and size; round_region({size:#x}) "
        f"gives size {round_region(size)[0]:#x}, alignment {round_region(size)[1]:#x}"
    )
