# SPDX-License-Identifier: Apache-2.0
"""What MPU words open, decoded from the words alone (Arm DDI 0403, sections B3.5.8 and B3.5.9;
PMSAv8: Arm DDI 0553, registers MPU_RBAR and MPU_RLAR).

The inverse of `boards.mpu`, written apart from it so that the audit does not repeat its mistakes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from boards.memory import Region

_UNPRIVILEGED_READ = {2, 3, 6, 7}  # AP values, table B3-15
_UNPRIVILEGED_WRITE = {3}


@dataclass(frozen=True, slots=True)
class Area:
    """One contiguous range that unprivileged code can reach."""

    base: int
    size: int
    writable: bool
    executable: bool

    @property
    def region(self) -> Region:
        """The range."""
        return Region(base=self.base, size=self.size)

    @property
    def rights(self) -> str:
        """`r`, `rw` or `rx`."""
        return "r" + "w" * self.writable + "x" * self.executable


def decode(words: tuple[int, int], flavour: str = "pmsav7") -> Iterator[Area]:
    """The areas that (RBAR, RASR; RLAR on PMSAv8) open to unprivileged code, lowest first."""
    if flavour == "pmsav8":
        yield from _decode_pmsav8(words)
        return
    rbar, rasr = words
    access = rasr >> 24 & 7
    if not rasr & 1 or access not in _UNPRIVILEGED_READ:
        return
    whole = 1 << ((rasr >> 1 & 0x1F) + 1)
    base = rbar & ~0x1F & ~(whole - 1)
    writable, executable = access in _UNPRIVILEGED_WRITE, not rasr >> 28 & 1
    # Subregions exist from 256 bytes on.
    parts, disabled = (8, rasr >> 8 & 0xFF) if whole >= 256 else (1, 0)
    size = whole // parts
    start: int | None = None
    for index in range(parts + 1):
        enabled = index < parts and not disabled >> index & 1
        if enabled and start is None:
            start = index
        if not enabled and start is not None:
            yield Area(base + start * size, (index - start) * size, writable, executable)
            start = None


def _decode_pmsav8(words: tuple[int, int]) -> Iterator[Area]:
    rbar, rlar = words
    # AP[0] set: unprivileged code has what privileged code has. AP[1] set: read only.
    if rlar & 1 and rbar >> 1 & 1:
        base, limit = rbar & ~0x1F, rlar | 0x1F
        yield Area(base, limit + 1 - base, not rbar >> 2 & 1, not rbar & 1)
