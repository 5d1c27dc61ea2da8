# SPDX-License-Identifier: Apache-2.0
"""What QEMU's STM32F405 lacks: clock control and flash controller (ST RM0090).

Independent of the driver they serve: the numbers here were read from the manual once more.
"""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from typing import Protocol

FLASH_BASE = 0x0800_0000
SECTOR_SIZES = (*[0x4000] * 4, 0x1_0000, *[0x2_0000] * 7)  # section 3.3, table 5
FLASH_SIZE = sum(SECTOR_SIZES)
_ERASED = b"\xff"
# PSC of the timers 2 and 5, section 18.4.11. Their clock is 84 MHz (section 7.2); QEMU's machine
# counts at 1 GHz, whatever -global says of it. Timer 3 makes waves that nobody sees there.
PRESCALERS = frozenset((0x4000_0028, 0x4000_0C28))
_TIMER_HZ, _EMULATOR_HZ = 84_000_000, 1_000_000_000


def prescaler_for_emulator(value: int) -> int:
    """What PSC must hold there for the timer to count as with `value` here; 16 bits at most."""
    return min((value + 1) * _EMULATOR_HZ // _TIMER_HZ - 1, 0xFFFF)


class Device(Protocol):
    """Registers by address. A read that the emulator's 0 answers rightly need not be asked for."""

    @property
    def registers(self) -> frozenset[int]:
        """Whose reads and writes it must see."""

    def read(self, address: int) -> int: ...

    def write(self, address: int, value: int) -> None: ...

    def reset(self) -> None:
        """The system was reset."""


class SimulatedClockControl:
    """The RCC's oscillators and clock switch, which are ready at once (section 7.3)."""

    CR, CFGR = 0x4002_3800, 0x4002_3808
    _READY: Mapping[int, int] = {1 << 0: 1 << 1, 1 << 16: 1 << 17, 1 << 24: 1 << 25}

    def __init__(self) -> None:
        self.reset()

    @property
    def registers(self) -> frozenset[int]:
        return frozenset((self.CR, self.CFGR))

    def reset(self) -> None:
        self._values = {self.CR: 0x83, self.CFGR: 0}

    def read(self, address: int) -> int:
        return self._values[address]

    def write(self, address: int, value: int) -> None:
        if address == self.CR:
            for on, ready in self._READY.items():
                value = value | ready if value & on else value & ~ready
        else:
            value = value & ~0xC | (value & 3) << 2  # SWS follows SW
        self._values[address] = value


class SimulatedFlashController:
    """The flash interface (section 3.9) over a file that is the flash.

    `changes` are what a write did to the memory, for whoever shows it to the processor.
    """

    ACR, KEYR, SR, CR = 0x4002_3C00, 0x4002_3C04, 0x4002_3C0C, 0x4002_3C10
    _KEYS = (0x4567_0123, 0xCDEF_89AB)  # section 3.6.1
    _PROTECTED, _ALIGNMENT, _PARALLELISM, _SEQUENCE = 1 << 4, 1 << 5, 1 << 6, 1 << 7
    _PG, _SER, _STRT, _LOCK = 1, 2, 1 << 16, 1 << 31

    def __init__(self, file: mmap.mmap) -> None:
        self._file = file
        self.changes: list[tuple[int, bytes]] = []  # address, bytes
        self.reset()

    @property
    def registers(self) -> frozenset[int]:
        return frozenset((self.ACR, self.KEYR, self.SR, self.CR))

    def reset(self) -> None:
        self._acr, self._cr, self.status = 0, self._LOCK, 0
        self._keys: list[int] = []
        self._closed = False  # by a wrong key, until the next reset

    def read(self, address: int) -> int:
        return {self.ACR: self._acr, self.SR: self.status, self.CR: self._cr}.get(address, 0)

    def write(self, address: int, value: int) -> None:
        if address == self.ACR:
            self._acr = value
        elif address == self.KEYR:
            self._key(value)
        elif address == self.SR:
            self.status &= ~value
        elif self._cr & self._LOCK:
            pass  # writes to a locked CR change nothing
        elif value & self._LOCK:
            self._cr, self._keys = self._cr & ~self._STRT | self._LOCK, []
        else:
            self._cr = value & ~self._STRT
            if value & self._STRT:
                self._start()

    def _key(self, value: int) -> None:
        self._keys.append(value)
        if tuple(self._keys) == self._KEYS[: len(self._keys)]:
            if len(self._keys) == len(self._KEYS) and not self._closed:
                self._cr &= ~self._LOCK
        else:
            self._closed = True

    def _start(self) -> None:
        sector = self._cr >> 3 & 15
        if not self._cr & self._SER or sector >= len(SECTOR_SIZES):
            self.status |= self._SEQUENCE
            return
        start, size = sum(SECTOR_SIZES[:sector]), SECTOR_SIZES[sector]
        self._change(start, _ERASED * size)

    def program(self, address: int, value: int, size: int) -> None:
        """A store into the flash of `size` bytes: clears bits, or sets an error and does nothing.

        Section 3.6.2: as many bytes as PSIZE says; 3.6.4: PG must be set.
        """
        if self._cr & self._LOCK or not self._cr & self._PG or self._cr & self._SER:
            self.status |= self._SEQUENCE
        elif size != 1 << (self._cr >> 8 & 3):
            self.status |= self._PARALLELISM
        elif address % size:
            self.status |= self._ALIGNMENT
        else:
            at = address - FLASH_BASE
            old = int.from_bytes(self._file[at : at + size], "little")
            self._change(at, (old & value).to_bytes(size, "little"))

    def erase_all(self) -> None:
        """Every sector."""
        self._change(0, _ERASED * FLASH_SIZE)

    def _change(self, offset: int, data: bytes) -> None:
        self._file[offset : offset + len(data)] = data  # first: a power cut may come now
        self.changes.append((FLASH_BASE + offset, data))
