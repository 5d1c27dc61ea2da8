# SPDX-License-Identifier: Apache-2.0
"""ADC1 of the STM32F405 (ST RM0090, section 13) with voltages at its inputs.

QEMU has one whose conversions never end. A conversion takes no time here.
"""

from __future__ import annotations

from collections.abc import Mapping

_SR, _CR2, _SQR3, _DR = 0x00, 0x08, 0x34, 0x4C
_DONE, _ON, _START = 1 << 1, 1, 1 << 30
_FULL = 0xFFF


class SimulatedAdc:
    """`levels`: by input, 0 to 4095; an input that is not named is at 0."""

    def __init__(self, base: int, levels: Mapping[int, int]) -> None:
        self._base, self._levels = base, levels
        self.reset()

    @property
    def registers(self) -> frozenset[int]:
        return frozenset(self._base + place for place in (_SR, _CR2, _SQR3, _DR))

    def reset(self) -> None:
        self._values = dict.fromkeys((_SR, _CR2, _SQR3, _DR), 0)

    def read(self, address: int) -> int:
        place = address - self._base
        if place == _DR:
            self._values[_SR] &= ~_DONE
        return self._values[place]

    def write(self, address: int, value: int) -> None:
        place = address - self._base
        if place == _SR:
            self._values[_SR] &= value
        elif place == _CR2:
            was_on = self._values[_CR2] & _ON
            self._values[_CR2] = value & ~_START
            if value & _START and value & _ON and was_on:
                self._values[_DR] = self._levels.get(self._values[_SQR3] & 31, 0) & _FULL
                self._values[_SR] |= _DONE
        elif place != _DR:
            self._values[place] = value
