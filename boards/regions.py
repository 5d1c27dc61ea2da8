# SPDX-License-Identifier: Apache-2.0
"""Regions of a board's memory protection unit, whichever architecture it has."""

from __future__ import annotations

from boards.memory import Mpu
from boards.mpu import RBAR_VALID, Access, MpuError, RegionWords, pmsav7_region, smallest_region
from boards.pmsav8 import pmsav8_region


def region(mpu: Mpu, number: int, base: int, size: int, access: Access) -> RegionWords:
    """The words for a board's unit. Raises MpuError, also for a region number it does not have."""
    if number >= mpu.regions:
        raise MpuError(f"region {number}: the unit has {mpu.regions}")
    match mpu.flavour:
        case "pmsav6" | "pmsav7":
            smallest = smallest_region(mpu.flavour)
            return RegionWords(*pmsav7_region(number, base, size, access, smallest))
        case "pmsav8":
            return RegionWords(*pmsav8_region(base, size, access))


def no_region(mpu: Mpu, number: int) -> RegionWords:
    """The words that switch region `number` off."""
    return RegionWords(0 if mpu.flavour == "pmsav8" else RBAR_VALID | number, 0)
