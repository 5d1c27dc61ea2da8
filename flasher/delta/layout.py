# SPDX-License-Identifier: Apache-2.0
"""The bytes of a delta, as firmware/runtime/smp/delta.h has them; little endian."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Self

MAGIC = 0x31444643
SEGMENTS_MAX = 32
PAGE = 0x4000  # of the target; no token crosses its end
START = 72  # the target's first bytes stand in the header
NUMBER_MAX = (1 << 28) - 1

_HEADER = struct.Struct(f"<II32s32s{START}sHH")
_SEGMENT = struct.Struct("<II")
_WORD = struct.Struct("<I")
_MASK = 0xFFFF_FFFF


class DeltaError(ValueError):
    """Bytes that are no delta, or not one for this base; the text is a clause without subject."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Places of the base from offset `start` on lie `shift` bytes further on in the target."""

    start: int
    shift: int


@dataclass(frozen=True, slots=True)
class Header:
    """What a delta says of itself. `base`: digest (SHA256 TLV) of the image that must run;
    `target`: SHA-256 of the whole target of `length` bytes, which begins with `start`."""

    length: int
    base: bytes
    target: bytes
    start: bytes
    segments: tuple[Segment, ...]

    @property
    def size(self) -> int:
        """Bytes before the first token."""
        return _HEADER.size + len(self.segments) * _SEGMENT.size

    def pack(self) -> bytes:
        """As it stands in front of the tokens."""
        head = _HEADER.pack(
            MAGIC, self.length, self.base, self.target, self.start, len(self.segments), 0
        )
        return head + b"".join(
            _SEGMENT.pack(segment.start, segment.shift & _MASK) for segment in self.segments
        )

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """Raises DeltaError."""
        if len(data) < _HEADER.size:
            raise DeltaError("ends within its header")
        magic, length, base, target, start, count, reserved = _HEADER.unpack_from(data)
        if magic != MAGIC:
            raise DeltaError("is no delta (its magic number is missing)")
        end = _HEADER.size + count * _SEGMENT.size
        if count > SEGMENTS_MAX or reserved != 0 or length <= START or end > len(data):
            raise DeltaError("has a malformed header")
        found = (
            Segment(first, shift - (shift >> 31 << 32))
            for first, shift in _SEGMENT.iter_unpack(data[_HEADER.size : end])
        )
        return cls(length, base, target, start, tuple(found))


def places_in(image: bytes, address: int) -> list[tuple[int, int]]:
    """(offset, place) of every word of an image that may be an address in it."""
    words = _WORD.iter_unpack(image[: len(image) & ~3])
    return [
        (4 * number, word - address)
        for number, (word,) in enumerate(words)
        if 0 <= word - address < len(image)
    ]


def moved(image: bytes, address: int, move: int, segments: tuple[Segment, ...]) -> bytes:
    """The image as if it had been linked `move` bytes further on, and its parts shifted."""
    out = bytearray(image)
    for offset, place in places_in(image, address):
        begun = [segment.shift for segment in segments if segment.start <= place]
        shift = begun[-1] if begun else 0
        _WORD.pack_into(out, offset, (address + place + move + shift) & _MASK)
    return bytes(out)
