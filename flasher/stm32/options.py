# SPDX-License-Identifier: Apache-2.0
"""The option bytes of the STM32F405 (ST RM0090, sections 3.7 and 3.9), in a file of four bytes.

What read protection keeps out, a debugger and the boot loader in ROM, is not there to be kept out;
the bytes, their keys, and what the way back costs are.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from flasher.state import write_atomically

_FACTORY = 0x0FFF_AAED  # section 3.9.10; the lowest two bits are lock and start
_LOCK, _START = 1, 2
_LEVEL_0, _LEVEL_2 = 0xAA, 0xCC


def level_of(word: int) -> int:
    """Read protection, 0 to 2 (section 3.7.3)."""
    return {_LEVEL_0: 0, _LEVEL_2: 2}.get(word >> 8 & 0xFF, 1)


class SimulatedOptionBytes:
    """`erase` is what going back to level 0 does to the whole flash, first."""

    KEYR, CR = 0x4002_3C08, 0x4002_3C14
    _KEYS = (0x0819_2A3B, 0x4C5D_6E7F)  # section 3.7.2

    def __init__(self, file: Path, erase: Callable[[], None]) -> None:
        self._file, self._erase = file, erase
        self.reset()

    @property
    def level(self) -> int:
        """Of what is stored."""
        return level_of(self._stored())

    def _stored(self) -> int:
        try:
            return int.from_bytes(self._file.read_bytes(), "little")
        except FileNotFoundError:
            return _FACTORY

    @property
    def registers(self) -> frozenset[int]:
        return frozenset((self.KEYR, self.CR))

    def reset(self) -> None:
        self._word = self._stored() & ~_START | _LOCK
        self._keys: list[int] = []
        self._closed = False  # by a wrong key, until the next reset

    def read(self, address: int) -> int:
        return self._word if address == self.CR else 0

    def write(self, address: int, value: int) -> None:
        if address == self.KEYR:
            self._keys.append(value)
            if tuple(self._keys) != self._KEYS[: len(self._keys)]:
                self._closed = True
            elif len(self._keys) == len(self._KEYS) and not self._closed:
                self._word &= ~_LOCK
        elif self._word & _LOCK:
            pass  # writes to locked options change nothing
        elif value & _LOCK:
            self._word, self._keys = self._word | _LOCK, []
        else:
            self._word = value & ~_START
            if value & _START:
                self._store()

    def _store(self) -> None:
        before, after = self.level, level_of(self._word)
        if before == 2:
            return  # nothing leads back
        if before == 1 and after == 0:
            self._erase()
        write_atomically(self._file, self._word.to_bytes(4, "little"))
