# SPDX-License-Identifier: Apache-2.0
"""UF2, the file format that a boot ROM's USB drive takes (github.com/microsoft/uf2, README).

A file is blocks of 512 bytes, each with an address and 256 bytes for it.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

BLOCK = 512
PAYLOAD = 256
ERASED = b"\xff"

_HEAD = struct.Struct("<8I")
_TAIL = struct.Struct("<I")
_MAGIC_1, _MAGIC_2, _MAGIC_END = 0x0A324655, 0x9E5D5157, 0x0AB16F30
_NOT_MAIN_FLASH, _FAMILY, _EXTENSION = 0x0001, 0x2000, 0x8000
_ABSOLUTE, _RP2350_ARM_S = 0xE48BFF57, 0xE48BFF59  # RP2350 data sheet, table 455
_IGNORED_BY_RP2 = 0x9957E304  # the extension that picotool marks such a block with
_DATA_MAX = 476


class Uf2Error(ValueError):
    """Bytes that are not a UF2 file, or not one we could act upon; names the block."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Bytes and where they go."""

    address: int
    data: bytes

    @property
    def end(self) -> int:
        """First address behind it."""
        return self.address + len(self.data)


@dataclass(frozen=True, slots=True)
class Uf2:
    """The content of a file: what it is for, and its segments in the order of their addresses."""

    family: int
    segments: tuple[Segment, ...]


def write_uf2(segments: Iterable[Segment], family: int, sector: int) -> bytes:
    """The file that programs `segments`; what is left of a sector of `sector` bytes is erased.

    For the RP2350's family with the block in front that its first chips need. Whole sectors,
    because the RP2040's ROM erases a sector when it meets its first page (data sheet, erratum
    RP2040-E14). Raises Uf2Error: segments overlap, or there is none.
    """
    if family == _RP2350_ARM_S:
        return write_rp2350_uf2(segments, sector)
    return _blocks(segments, family, sector)


def _blocks(segments: Iterable[Segment], family: int, sector: int) -> bytes:
    if sector % PAYLOAD:
        raise Uf2Error(f"a sector of {sector} bytes is not made of blocks of {PAYLOAD}")
    pages = _pages(sorted(segments, key=lambda segment: segment.address), sector)
    if not pages:
        raise Uf2Error("nothing to write")
    return b"".join(
        _block(address, data, number, len(pages), family)
        for number, (address, data) in enumerate(sorted(pages.items()))
    )


def _pages(segments: Sequence[Segment], sector: int) -> dict[int, bytes]:
    for one, two in itertools.pairwise(segments):
        if one.end > two.address:
            raise Uf2Error(f"the segments at {one.address:#x} and {two.address:#x} overlap")
    sectors: dict[int, bytearray] = {}
    for segment in segments:
        for base in range(segment.address // sector * sector, segment.end, sector):
            content = sectors.setdefault(base, bytearray(ERASED * sector))
            start, end = max(base, segment.address), min(base + sector, segment.end)
            offset = segment.address
            content[start - base : end - base] = segment.data[start - offset : end - offset]
    return {
        base + at: bytes(content[at : at + PAYLOAD])
        for base, content in sectors.items()
        for at in range(0, sector, PAYLOAD)
    }


def _block(address: int, data: bytes, number: int, count: int, family: int) -> bytes:
    head = _HEAD.pack(_MAGIC_1, _MAGIC_2, _FAMILY, address, len(data), number, count, family)
    return head + data.ljust(_DATA_MAX, b"\0") + _TAIL.pack(_MAGIC_END)


def write_rp2350_uf2(segments: Iterable[Segment], sector: int) -> bytes:
    """The file for an RP2350's drive, of a Secure Arm image.

    In front of it a block of the absolute family for the last page of 16 MiB: without one the ROM
    of the first chips does not take files by their family (RP2350 data sheet, erratum E10).
    """
    head = _HEAD.pack(
        *(_MAGIC_1, _MAGIC_2, _FAMILY | _EXTENSION, 0x10FFFF00, PAYLOAD, 0, 2, _ABSOLUTE)
    )
    data = b"\xef" * PAYLOAD + struct.pack("<I", _IGNORED_BY_RP2)
    block = head + data.ljust(_DATA_MAX, b"\0") + _TAIL.pack(_MAGIC_END)
    return block + _blocks(segments, _RP2350_ARM_S, sector)


def read_uf2(data: bytes) -> Uf2:
    """Reads a file from hostile bytes: every block there, once, in order, of one family.

    Raises Uf2Error. Neighbouring blocks become one segment.
    """
    if not data or len(data) % BLOCK:
        raise Uf2Error(f"{len(data)} bytes are not whole blocks of {BLOCK}")
    families = set()
    pieces: list[Segment] = []
    count = len(data) // BLOCK
    for number in range(count):
        family, piece = _read_block(data[number * BLOCK : (number + 1) * BLOCK], number, count)
        families.add(family)
        pieces.append(piece)
    if len(families) != 1:
        raise Uf2Error("blocks of several families")
    return Uf2(families.pop(), tuple(_joined(sorted(pieces, key=lambda piece: piece.address))))


def _read_block(block: bytes, number: int, count: int) -> tuple[int, Segment]:
    first, second, flags, address, size, said_number, said_count, family = _HEAD.unpack_from(block)
    (end,) = _TAIL.unpack_from(block, BLOCK - _TAIL.size)
    if (first, second, end) != (_MAGIC_1, _MAGIC_2, _MAGIC_END):
        raise Uf2Error(f"block {number}: wrong magic numbers")
    if flags & _NOT_MAIN_FLASH or not flags & _FAMILY:
        raise Uf2Error(f"block {number}: flags {flags:#x}: for no family's flash")
    if (said_number, said_count) != (number, count):
        raise Uf2Error(f"block {number} of {count} says it is {said_number} of {said_count}")
    if size != PAYLOAD or address % PAYLOAD or address + size > 1 << 32:
        raise Uf2Error(f"block {number}: {size} bytes at {address:#x}")
    return family, Segment(address, block[_HEAD.size : _HEAD.size + size])


def _joined(pieces: Sequence[Segment]) -> Iterator[Segment]:
    start, run = pieces[0].address, bytearray()
    for piece in pieces:
        end = start + len(run)
        if piece.address < end:
            raise Uf2Error(f"two blocks for {piece.address:#x}")
        if piece.address > end:
            yield Segment(start, bytes(run))
            start, run = piece.address, bytearray()
        run += piece.data
    yield Segment(start, bytes(run))
