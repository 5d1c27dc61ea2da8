# SPDX-License-Identifier: Apache-2.0
"""A serial wire debug port with one memory access port behind it (Arm IHI 0031, ADIv5.2).

Independent of any debugger: the numbers were read from Arm's text. Port and memory are told apart,
so a processor, or registers alone, can be behind it.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Protocol

OK, WAIT, FAULT, NO_ANSWER = 1, 2, 4, 7

# Section B5.3: what wakes a dormant port. Written here as bits in the order of the wire.
_SELECTION_ALERT = f"{0x49CF9046A9B4A16197F5BBC745703D98:0128b}"
_SWD_ACTIVATION = "0000" + "01011000"
_WAKE = _SELECTION_ALERT + _SWD_ACTIVATION
_JTAG_TO_SWD = f"{0xE79E:016b}"[::-1]  # section B5.2.2: the least significant bit first
_LINE_RESET = 50  # section B4.3.3

# CTRL/STAT, section B2.2.2
_STICKY_ERROR = 1 << 5
_DEBUG_POWER, _SYSTEM_POWER = 1 << 28, 1 << 30
_POWER = _DEBUG_POWER | _SYSTEM_POWER
_CLEAR_STICKY_ERROR = 1 << 2  # ABORT, section B2.2.1

# The access port's registers, section C2.6
_CSW, _TAR, _DRW, _BASE, _IDR = 0x00, 0x04, 0x0C, 0xF8, 0xFC
_DEVICE_ENABLED = 1 << 6
_CSW_KEPT = 0x7F00_0037  # what a write changes: protection, increment, size
_ROM_TABLE = 0xE00F_F003  # of a Cortex-M, present
_INCREMENT_PAGE = 0x400  # section C2.2.2: bits 9..0 are sure to count


class BusError(Exception):
    """Nothing answers at that address."""


class Memory(Protocol):
    """What the access port drives; both raise BusError. Sizes 1, 2 and 4."""

    def load(self, address: int, size: int) -> int: ...
    def store(self, address: int, size: int, value: int) -> None: ...


class AccessPort(Protocol):
    """Registers behind a debug port, by their place (A[7:0]). May raise BusError."""

    def read(self, place: int) -> int: ...
    def write(self, place: int, value: int) -> None: ...


class MemoryAccess:
    """An AHB-AP. `enabled`: False when the part's lock has cut it off the bus."""

    def __init__(self, memory: Memory, identity: int, *, enabled: bool = True) -> None:
        self._memory, self._identity = memory, identity
        self._enabled = enabled
        self._csw, self._tar = 2, 0

    def read(self, place: int) -> int:
        if place == _DRW:
            return self._access(None)
        if place & 0xF0 == 0x10:
            return self._memory.load(self._tar & ~15 | place & 15, 4)
        csw = self._csw | (_DEVICE_ENABLED if self._enabled else 0)
        return {_CSW: csw, _TAR: self._tar, _BASE: _ROM_TABLE, _IDR: self._identity}.get(place, 0)

    def write(self, place: int, value: int) -> None:
        if place == _CSW:
            self._csw = value & _CSW_KEPT
        elif place == _TAR:
            self._tar = value
        elif place == _DRW:
            self._access(value)
        elif place & 0xF0 == 0x10:
            self._memory.store(self._tar & ~15 | place & 15, 4, value)

    def _access(self, value: int | None) -> int:
        """One through DRW, in the byte lanes of its address (section C2.2.6)."""
        if not self._enabled:
            raise BusError
        size, address = 1 << (self._csw & 7), self._tar
        lane = 8 * (address & 3)
        found = 0
        if value is None:
            found = self._memory.load(address, size) << lane
        else:
            self._memory.store(address, size, value >> lane & (1 << 8 * size) - 1)
        if self._csw >> 4 & 3:
            page = address & ~(_INCREMENT_PAGE - 1)
            self._tar = page | (address + size) % _INCREMENT_PAGE
        return found


class _State(Enum):
    DORMANT = auto()
    JTAG = auto()
    UNSELECTED = auto()  # serial wire, but a line reset has not been seen, or another was chosen
    RESET = auto()  # of several ports: each waits whether it is meant
    FRESH = auto()  # only its identity can be read
    OPEN = auto()


class SerialWirePort:
    """One SW-DP and its access ports, from number 0 on. `target`: its TARGETSEL where several share
    the wire; such a port is dormant at first. Without one it starts as a JTAG port.
    """

    def __init__(self, *ports: AccessPort, identity: int, target: int | None = None) -> None:
        self._ports = ports
        self._identity, self._target = identity, target
        self._state = _State.JTAG if target is None else _State.DORMANT
        self._seen = ""
        self._select, self._control = 0, 0

    # The line

    def clock(self, bits: str) -> None:
        """The host drives these bits, the first first."""
        for bit in bits:
            self._seen = (self._seen + bit)[-len(_WAKE) :]
            if bit == "0" and self._seen.endswith("1" * _LINE_RESET + "0"):
                self._line_reset()
        woken = {_State.DORMANT: _WAKE, _State.JTAG: _JTAG_TO_SWD}.get(self._state)
        if woken is not None and self._seen.endswith(woken):
            self._state = _State.UNSELECTED

    def _line_reset(self) -> None:
        if self._state not in (_State.DORMANT, _State.JTAG):
            self._state = _State.FRESH if self._target is None else _State.RESET
            self._select = 0

    def choose(self, target: int) -> None:
        """A write of TARGETSEL, which no port answers (section B4.3.4)."""
        if self._state is _State.RESET:
            self._state = _State.FRESH if target == self._target else _State.UNSELECTED

    # Transfers: what the probe makes of a request, acknowledgement and data

    def transfer(self, ap: bool, read: bool, register: int, value: int = 0) -> tuple[int, int]:
        """Acknowledgement and what was read; `register` is A[3:2] as 0, 4, 8 or 12."""
        if self._state is _State.FRESH and not ap and read and register == 0:
            self._state = _State.OPEN
        if self._state is _State.FRESH:
            self._state = _State.UNSELECTED
        if self._state is not _State.OPEN:
            return NO_ANSWER, 0
        if not ap:
            return OK, self._dp_read(register) if read else self._dp_write(register, value)
        return self._behind(read, register, value)

    def _behind(self, read: bool, register: int, value: int) -> tuple[int, int]:
        """A transfer to the access port that SELECT names; nothing, where there is none."""
        if self._control & _STICKY_ERROR or self._control & _POWER != _POWER:
            return FAULT, 0
        number, place = self._select >> 24, self._select & 0xF0 | register
        if number >= len(self._ports):
            return OK, 0
        try:
            if read:
                return OK, self._ports[number].read(place)
            self._ports[number].write(place, value)
        except BusError:
            self._control |= _STICKY_ERROR
            return FAULT, 0
        return OK, 0

    def _dp_read(self, register: int) -> int:
        if register == 0:
            return self._identity
        bank = self._select & 15
        if register == 4 and bank == 0:
            return self._control | (self._control & _POWER) << 1  # acknowledged at once
        if register == 4 and bank == 2:
            return (self._target or 0) & 0x0FFF_FFFF
        if register == 4 and bank == 3:
            return (self._target or 0) & 0xF000_0000 | 1
        return 0

    def _dp_write(self, register: int, value: int) -> int:
        if register == 0 and value & _CLEAR_STICKY_ERROR:
            self._control &= ~_STICKY_ERROR
        elif register == 4 and self._select & 15 == 0:
            self._control = self._control & _STICKY_ERROR | value & (_POWER | 0xF03)
        elif register == 8:
            self._select = value
        return 0
