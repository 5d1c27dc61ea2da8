# SPDX-License-Identifier: Apache-2.0
"""Two images to a delta. The one that runs and the new one are linked for different slots.

Most words that differ between them are addresses. So the base is looked at as if it had been linked
for the other slot, and what the target moved to make room as moved: then little is left to say.
"""

from __future__ import annotations

import bz2
import hashlib
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import bsdiff4

from flasher.bundle import ImageFile
from flasher.delta.apply import apply_delta
from flasher.delta.layout import (
    NUMBER_MAX,
    PAGE,
    SEGMENTS_MAX,
    START,
    Header,
    Segment,
    moved,
    places_in,
)

# Of a file in bsdiff's format: magic, then lengths of control and difference, of the target.
_BSDIFF_HEAD = 32
_LITERALS_SHORT, _COPIED_SHORT = 7, 15
_WORTH_A_COPY = 2


@dataclass(frozen=True, slots=True)
class _Match:
    """`same` bytes of the target are about those at `source` of the base; `new` follow them."""

    source: int
    same: int
    new: int


@dataclass(frozen=True, slots=True)
class _Token:
    literals: bytes
    source: int
    copied: int


def make_delta(base: ImageFile, target: ImageFile) -> bytes:
    """The delta from one image, as it runs, to another in the other slot; checked by applying it.

    Both have more than 72 bytes, as every image has.
    """
    segments = _segments(base, target)
    return min((_delta(base, target, chosen) for chosen in ((), segments)), key=len)


def _delta(base: ImageFile, target: ImageFile, segments: tuple[Segment, ...]) -> bytes:
    source = _source(base, target, segments)
    header = Header(
        length=len(target.data),
        base=base.digest,
        target=hashlib.sha256(target.data).digest(),
        start=target.data[:START],
        segments=segments,
    )
    tokens = _tokens(source, target.data, _matches(source, target.data))
    delta = header.pack() + b"".join(_encoded(tokens))
    assert apply_delta(delta, base) == target.data
    return delta


def _source(base: ImageFile, target: ImageFile, segments: tuple[Segment, ...]) -> bytes:
    move = target.load_address - base.load_address
    return moved(base.data, base.load_address, move, segments)


def _segments(base: ImageFile, target: ImageFile) -> tuple[Segment, ...]:
    """How far parts of the base were moved: those that most addresses point into."""
    made, found = START, []
    for match in _matches(_source(base, target, ()), target.data):
        found.append(Segment(match.source, made - match.source))
        made += match.same + match.new
    kept: list[Segment] = []
    for segment in sorted(found, key=lambda segment: segment.start):
        if segment.shift != (kept[-1].shift if kept else 0):
            kept.append(segment)
    places = [place for _, place in places_in(base.data, base.load_address)]
    while len(kept) > SEGMENTS_MAX:
        starts = [segment.start for segment in kept]
        used = Counter(bisect_right(starts, place) - 1 for place in places)
        del kept[min(range(len(kept)), key=lambda index: used[index])]
    return tuple(kept)


def _matches(source: bytes, target: bytes) -> list[_Match]:
    """What bsdiff finds for the target behind its first START bytes."""
    patch = bsdiff4.diff(source, target[START:])
    length = _integer(patch[8:16])
    control = bz2.decompress(patch[_BSDIFF_HEAD : _BSDIFF_HEAD + length])
    at, found = 0, []
    for offset in range(0, len(control), 24):
        same, new, seek = (_integer(control[offset + 8 * i :][:8]) for i in range(3))
        found.append(_Match(at, same, new))
        at += same + seek
    return found


def _integer(data: bytes) -> int:
    """bsdiff's: the sign in the top bit."""
    value = int.from_bytes(data, "little")
    return -(value & ~(1 << 63)) if value >> 63 else value


def _tokens(source: bytes, target: bytes, matches: list[_Match]) -> Iterator[_Token]:
    """Literals and the copy behind them, again and again; no token crosses a page's end."""
    made = start = START  # literals from `start` on are not said yet
    for match in matches:
        end = made + match.same
        shift = match.source - made
        while made < end:
            same = made
            while same < end and target[same] == source[same + shift]:
                same += 1
            if same - made >= _WORTH_A_COPY:
                yield from _paged(target, start, made, made + shift, same - made)
                start = made = same
            made = max(same, made) + (same < end)
        made = end + match.new
    yield from _paged(target, start, len(target), 0, 0)


def _paged(target: bytes, start: int, made: int, source: int, copied: int) -> Iterator[_Token]:
    """Literals from `start` to `made`, then a copy, as one token or more."""
    while start < made or copied:
        room = PAGE - start % PAGE
        literals = min(made - start, room)
        now = min(copied, room - literals) if start + literals == made else 0
        yield _Token(target[start : start + literals], source, now)
        start += literals + now
        source, copied = source + now, copied - now
        made = max(made, start)


def _encoded(tokens: Iterator[_Token]) -> Iterator[bytes]:
    cursor = START
    for token in tokens:
        literals = len(token.literals)
        cursor += literals
        jump = token.source - cursor if token.copied else 0
        first = min(literals, _LITERALS_SHORT) << 4 | min(token.copied, _COPIED_SHORT)
        yield bytes((first | (0x80 if jump else 0),))
        if literals >= _LITERALS_SHORT:
            yield _number(literals - _LITERALS_SHORT)
        if token.copied >= _COPIED_SHORT:
            yield _number(token.copied - _COPIED_SHORT)
        if jump:
            yield _number(2 * jump if jump > 0 else -2 * jump - 1)
        yield token.literals
        cursor += jump + token.copied


def _number(value: int) -> bytes:
    assert 0 <= value <= NUMBER_MAX
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
