# SPDX-License-Identifier: Apache-2.0
"""What a Thumb load or store is about to do (Arm DDI 0403, chapter A5)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Access:
    """One item moved between a register and memory. `length`: bytes of the instruction."""

    store: bool
    size: int
    register: int
    address: int
    length: int


def access_of(code: bytes, registers: Sequence[int]) -> Access | None:
    """Of the instruction that `code` (four bytes) begins with; None: it is none of those known.

    Known are the forms with an immediate or register offset that leave their base as it is.
    """
    first, second = struct.unpack("<2H", code)
    if first >> 11 in (0b11101, 0b11110, 0b11111):
        return _wide(first, second, registers)
    return _narrow(first, registers)


_OFFSET_BY_REGISTER = {  # section A5.2.4, opB: (store, bytes)
    0: (True, 4),
    1: (True, 2),
    2: (True, 1),
    4: (False, 4),
    5: (False, 2),
    6: (False, 1),
}
_OFFSET_IN_CODE = {  # the upper five bits
    0b01100: (True, 4),
    0b01101: (False, 4),
    0b01110: (True, 1),
    0b01111: (False, 1),
    0b10000: (True, 2),
    0b10001: (False, 2),
}


def _narrow(code: int, registers: Sequence[int]) -> Access | None:
    target, base = code & 7, registers[code >> 3 & 7]
    if code >> 12 == 0b0101:
        form, offset = _OFFSET_BY_REGISTER.get(code >> 9 & 7), registers[code >> 6 & 7]
    else:
        form = _OFFSET_IN_CODE.get(code >> 11)
        offset = (code >> 6 & 31) * (form[1] if form else 0)
    if form is None:
        return None
    return Access(*form, target, base + offset & 0xFFFFFFFF, 2)


def _wide(first: int, second: int, registers: Sequence[int]) -> Access | None:
    size = {0: 1, 1: 2, 2: 4}.get(first >> 5 & 3)
    if first >> 8 != 0xF8 or size is None:  # one item, sections A5.3.7 to A5.3.10
        return None
    store, base = not first & 0x10, registers[first & 15]
    if first & 0x80:
        offset = second & 0xFFF
    elif second >> 8 & 15 == 0b1100:
        offset = -(second & 0xFF)
    elif second & 0xFC0 == 0:
        offset = registers[second & 15] << (second >> 4 & 3)
    else:
        return None
    return Access(store, size, second >> 12, base + offset & 0xFFFFFFFF, 4)


def status_after(status: int) -> int:
    """The program status once an instruction is done: a step on in its IT block (ITAdvance)."""
    state = status >> 25 & 3 | status >> 8 & 0xFC
    state = state & 0xE0 | state << 1 & 0x1F if state & 7 else 0
    return status & ~0x0600FC00 | (state & 3) << 25 | (state & 0xFC) << 8
