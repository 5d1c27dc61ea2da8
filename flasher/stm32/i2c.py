# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ARG002 - a target need not ask which way it is called
"""An I2C block of the STM32F405 as its driver sees it (ST RM0090, section 27), with targets.

A byte takes no time here: it moves when the block may move one. What the block waits for (a full
data register, a flag that nobody has cleared) holds the bus, as it does there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

_CR1, _CR2, _DR, _SR1, _SR2, _CCR, _TRISE = 0x00, 0x04, 0x10, 0x14, 0x18, 0x1C, 0x20
_ENABLE, _START, _STOP, _ACK, _POS, _RESET = 1 << 0, 1 << 8, 1 << 9, 1 << 10, 1 << 11, 1 << 15
_SB, _ADDR, _BTF, _RXNE, _TXE, _AF = 1 << 0, 1 << 1, 1 << 2, 1 << 6, 1 << 7, 1 << 10
_MASTER, _BUSY, _SENDING = 1, 2, 4
_ERRORS = 0xDF00  # what a 0 clears


class Target(Protocol):
    """What answers to an address."""

    def begin(self, reading: bool) -> None:
        """It was called."""

    def take(self, byte: int) -> bool:
        """A byte for it; False: it does not acknowledge."""

    def give(self) -> int:
        """A byte of it."""


class SimulatedTmp105:
    """A thermometer as on the other virtual boards: register 0 is read, in 1/256 degrees."""

    def __init__(self, raw: int = 0x1580) -> None:
        self._registers = {0: raw, 1: 0, 2: 0x4B00, 3: 0x5000}
        self._pointer, self._taken, self._given = 0, 0, 0

    def begin(self, reading: bool) -> None:
        self._taken = self._given = 0

    def take(self, byte: int) -> bool:
        if self._taken == 0:
            self._pointer = byte & 3
        elif self._pointer:
            shift = 8 * (2 - self._taken)
            if shift >= 0:
                kept = self._registers[self._pointer] & ~(0xFF << shift)
                self._registers[self._pointer] = kept | byte << shift
        self._taken += 1
        return self._taken <= 3

    def give(self) -> int:
        self._given += 1
        return self._registers[self._pointer] >> (8 if self._given % 2 else 0) & 0xFF


class SimulatedI2c:
    """The controller's half. `acknowledged`: of each byte that the last target called gave.

    `extra`: bytes that were read behind one that was not acknowledged, which nobody gave.
    """

    def __init__(self, base: int, targets: Mapping[int, Target]) -> None:
        self._base, self._targets = base, targets
        self.extra, self.acknowledged = 0, list[bool]()
        self.reset()

    @property
    def registers(self) -> frozenset[int]:
        places = (_CR1, _CR2, _DR, _SR1, _SR2, _CCR, _TRISE)
        return frozenset(self._base + place for place in places)

    def reset(self) -> None:
        self._values = {_CR1: 0, _CR2: 0, _CCR: 0, _TRISE: 2}
        self._sr1, self._sr2 = 0, 0
        self._target: Target | None = None
        self._held: list[int] = []  # received: the data register, then the one behind it
        self._seen, self._acks, self._count = 0, True, 0

    def read(self, address: int) -> int:
        place = address - self._base
        if place == _SR1:
            self._seen = self._sr1
            return self._sr1
        if place == _SR2:
            found = self._sr2
            if self._seen & _ADDR & self._sr1:
                self._sr1 &= ~_ADDR
                self._addressed()
            return found
        if place == _DR:
            value = self._held.pop(0) if self._held else 0
            self._receive()
            return value
        return self._values[place]

    def write(self, address: int, value: int) -> None:
        place = address - self._base
        if place == _SR1:
            self._sr1 &= value | ~_ERRORS
        elif place == _DR:
            self._send(value & 0xFF)
        elif place == _CR1:
            self._control(value)
        elif place != _SR2:
            self._values[place] = value

    def _control(self, value: int) -> None:
        if value & _RESET or not value & _ENABLE:
            kept = {place: self._values[place] for place in (_CR2, _CCR, _TRISE)}
            self.reset()
            if not value & _RESET:
                self._values |= kept
            self._values[_CR1] = value & ~(_START | _STOP)
            return
        self._values[_CR1] = value & ~(_START | _STOP)
        if value & _STOP and self._sr2 & _MASTER:
            self._receive()  # the byte that is under way comes first
            self._sr2 = 0
            self._sr1 &= ~(_SB | _ADDR | _BTF | _TXE)
            self._target = None
        if value & _START:
            self._sr1 = self._sr1 & ~(_ADDR | _BTF | _TXE | _RXNE) | _SB
            self._sr2 = _MASTER | _BUSY
            self._target, self._held = None, []

    def _send(self, byte: int) -> None:
        if self._sr1 & _SB and self._seen & _SB:
            self._sr1 &= ~_SB
            self._target = self._targets.get(byte >> 1)
            self._sr2 = self._sr2 & ~_SENDING | (0 if byte & 1 else _SENDING)
            self._sr1 |= _ADDR if self._target is not None else _AF
        elif self._target is not None and self._sr2 & _SENDING and not self._sr1 & _ADDR:
            taken = self._target.take(byte)
            self._sr1 = self._sr1 & ~(_BTF | _TXE) | (_BTF | _TXE if taken else _AF)

    def _addressed(self) -> None:
        assert self._target is not None
        sending = bool(self._sr2 & _SENDING)
        self._target.begin(not sending)
        self._count, self._acks, self.acknowledged = 0, True, []
        if sending:
            self._sr1 |= _TXE
        else:
            self._receive()

    def _receive(self) -> None:
        """Bytes come in until both registers are full."""
        reading = self._target is not None and not self._sr2 & _SENDING and self._sr2 & _BUSY
        if reading and not self._sr1 & (_ADDR | _SB):
            while len(self._held) < 2:
                self._receive_one()
        full = len(self._held)
        self._sr1 &= ~(_RXNE | _BTF)
        self._sr1 |= (_RXNE if full else 0) | (_BTF if full == 2 else 0)

    def _receive_one(self) -> None:
        assert self._target is not None
        if not self._acks:  # the target has let the line go
            self._held.append(0xFF)
            self.extra += 1
            return
        self._held.append(self._target.give())
        control = self._values[_CR1]
        self._acks = bool(control & _ACK or (control & _POS and self._count == 0))
        self.acknowledged.append(self._acks)
        self._count += 1
