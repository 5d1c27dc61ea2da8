# SPDX-License-Identifier: Apache-2.0
"""Register words of the Armv8-M memory protection unit, PMSAv8 (Arm DDI 0553, section B8.3).

A region is any range of 32-byte granules. Regions must not overlap: an address in two of them
faults, so the core (armv8m/core_protection.c) fills what the image's tables leave open.
Privileged code can be denied writing and executing, never reading.
"""

from __future__ import annotations

from collections.abc import Mapping

from boards.mpu import Access, MpuError

GRAIN = 32

# AP[2:1] (RBAR bits 2:1), XN (bit 0). Shareability is 0: one processor, no other observer.
_PRIVILEGED_RW, _RW, _PRIVILEGED_RO, _RO = 0 << 1, 1 << 1, 2 << 1, 3 << 1
_XN = 1
# Index into MAIR0, whose attributes the core sets: 0 normal memory, write-through; 1 device, nGnRE.
_NORMAL, _DEVICE = 0 << 1, 1 << 1
_ENABLE = 1

_ACCESS: Mapping[Access, tuple[int, int]] = {
    # The image's privileged code never writes flash itself where there is a Secure world.
    Access.PRIVILEGED_FLASH: (_PRIVILEGED_RO | _XN, _NORMAL),
    Access.PRIVILEGED_RAM: (_PRIVILEGED_RW | _XN, _NORMAL),
    Access.CODE: (_RO, _NORMAL),
    Access.READ: (_RO | _XN, _NORMAL),
    Access.RAM: (_RW | _XN, _NORMAL),
    Access.DEVICE: (_RW | _XN, _DEVICE),
}


def pmsav8_region(base: int, size: int, access: Access) -> tuple[int, int]:
    """(RBAR, RLAR) of the region that opens exactly [base, base + size).

    The region's number is not in the words: it goes to RNR. Raises MpuError for a range that is not
    made of whole granules, and for `Access.NONE`, which the unit cannot express.
    """
    if base % GRAIN or size % GRAIN or size <= 0 or base < 0 or base + size > 1 << 32:
        raise MpuError(f"{size:#x} bytes at {base:#x}: not made of whole granules of {GRAIN} bytes")
    if access not in _ACCESS:
        raise MpuError(f"{access.name}: PMSAv8 cannot deny reading to privileged code")
    rights, kind = _ACCESS[access]
    return base | rights, base + size - GRAIN | kind | _ENABLE
