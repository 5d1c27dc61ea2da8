# SPDX-License-Identifier: Apache-2.0
"""A delta applied as a board does it: the check before one is sent, and the C decoder's oracle."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from flasher.bundle import ImageFile
from flasher.delta.layout import PAGE, DeltaError, Header, moved

_NUMBER_BYTES = 4


@dataclass(slots=True)
class _Reader:
    data: bytes
    at: int

    def byte(self) -> int:
        if self.at >= len(self.data):
            raise DeltaError("ends within a token")
        self.at += 1
        return self.data[self.at - 1]

    def bytes(self, count: int) -> bytes:
        if count > len(self.data) - self.at:
            raise DeltaError("ends within a token")
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self) -> int:
        value = 0
        for index in range(_NUMBER_BYTES):
            byte = self.byte()
            value |= (byte & 0x7F) << 7 * index
            if byte < 0x80:
                if byte == 0 and index > 0:
                    raise DeltaError("has a number that is longer than it need be")
                return value
        raise DeltaError("has a number that is too long")


def apply_delta(delta: bytes, base: ImageFile, move: int | None = None) -> bytes:
    """The target. `move`: from the base's slot to the other, by default what the target says.

    Raises DeltaError with what is wrong.
    """
    header = Header.unpack(delta)
    if header.base != base.digest:
        raise DeltaError("is made for another image than this base")
    if move is None:
        move = int.from_bytes(header.start[4:8], "little") - base.load_address
    source = moved(base.data, base.load_address, move, header.segments)
    reader = _Reader(delta, header.size)
    out = bytearray(header.start)
    cursor = len(out)
    while len(out) < header.length:
        token = reader.byte()
        literals, copied = token >> 4 & 7, token & 15
        literals += reader.number() if literals == 7 else 0
        copied += reader.number() if copied == 15 else 0
        jump = reader.number() if token & 0x80 else 0
        made = literals + copied
        if not 0 < made <= min(header.length - len(out), PAGE - len(out) % PAGE):
            raise DeltaError("makes nothing, or more than its target or a page of it")
        out += reader.bytes(literals)
        cursor += literals + (jump >> 1 ^ -(jump & 1))
        if copied and not 0 <= cursor <= len(source) - copied:
            raise DeltaError("copies from outside its base")
        out += source[cursor : cursor + copied]
        cursor += copied
    if reader.at != len(delta):
        raise DeltaError("goes on behind its target's end")
    if hashlib.sha256(out).digest() != header.target:
        raise DeltaError("does not make the target that it names")
    return bytes(out)
