# SPDX-License-Identifier: Apache-2.0
"""What .mpy files hold, version 6: the names a module uses, and its functions with their lines.

The format is MicroPython's (docs/reference/mpyfiles.rst; prelude and line table: py/bc.h).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

_BYTECODE, _NATIVE, _VIPER = 0, 1, 2  # kinds of code; the fourth is assembly
_RODATA, _BSS, _RELOCATIONS = 0x20, 0x40, 0x10  # scope flags of native code
_TUPLE, _STR, _BYTES, _NO_BODY = 10, 5, 6, (0, 1, 2, 3, 4)  # of constants that are objects

T = TypeVar("T")


class MpyFormatError(Exception):
    """A file is not an .mpy of version 6, or is cut short."""


@dataclass(frozen=True, slots=True)
class Function:
    """One function of bytecode as it lies in the image.

    `name` is MicroPython's (`<module>` of a module's own code). `lines` has, for an offset into
    `opcodes` and what follows it up to the next, the line in the source.
    """

    name: str
    data: bytes
    first: int  # where in `data` the opcodes begin
    lines: tuple[tuple[int, int], ...]

    @property
    def opcodes(self) -> bytes:
        """Without names, line table and the like."""
        return self.data[self.first :]


def names_of(mpy: bytes, static: Sequence[str]) -> frozenset[str]:
    """Every name and short string of a compiled module, those the compiler adds included. Raises
    MpyFormatError.
    """
    return _read(mpy, lambda reader: frozenset(reader.names(static)))


def functions_of(mpy: bytes, static: Sequence[str]) -> tuple[Function, ...]:
    """The functions of bytecode in the order of mpy-tool's output: a function, then those in it.

    Raises MpyFormatError.
    """

    def read(reader: _Reader) -> tuple[Function, ...]:
        names = reader.names(static)
        for _ in range(reader.objects):
            reader.object()
        return tuple(reader.code(names))

    return _read(mpy, read)


def _read(mpy: bytes, work: Callable[[_Reader], T]) -> T:
    if mpy[:2] != b"M\x06":
        raise MpyFormatError("not an .mpy file of version 6")
    try:
        return work(_Reader(mpy))
    except (IndexError, UnicodeDecodeError):
        raise MpyFormatError("it is cut short") from None


class _Reader:
    """A place in an .mpy file. IndexError: it ends too early."""

    def __init__(self, data: bytes, at: int = 4) -> None:
        self._data = data
        self.at = at
        self.objects = 0

    def byte(self) -> int:
        self.at += 1
        return self._data[self.at - 1]

    def number(self) -> int:
        value = 0
        while True:
            byte = self.byte()
            value = value << 7 | byte & 0x7F
            if not byte & 0x80:
                return value

    def take(self, length: int) -> bytes:
        self.at += length
        if self.at > len(self._data):
            raise IndexError
        return self._data[self.at - length : self.at]

    def names(self, static: Sequence[str]) -> list[str]:
        """The table of names at the file's start."""
        count = self.number()
        self.objects = self.number()
        return [self._name(static) for _ in range(count)]

    def _name(self, static: Sequence[str]) -> str:
        length = self.number()
        if length & 1:
            return static[(length >> 1) - 1]  # 0 is "no name"
        text = self.take(length >> 1).decode()
        self.byte()
        return text

    def object(self) -> None:
        """Passes over one constant."""
        kind = self.byte()
        if kind == _TUPLE:
            for _ in range(self.number()):
                self.object()
        elif kind not in _NO_BODY:
            self.take(self.number())
            if kind in (_STR, _BYTES):
                self.byte()

    def code(self, names: Sequence[str]) -> Iterator[Function]:
        """One function and those in it."""
        head = self.number()
        kind, has_children, length = head & 3, head >> 2 & 1, head >> 3
        data = self.take(length)
        if kind == _BYTECODE:
            yield _function(data, names)
        elif kind == _NATIVE:
            self.number()
        else:
            self._native(kind)
        for _ in range(self.number() if has_children else 0):
            yield from self.code(names)

    def _native(self, kind: int) -> None:
        flags = self.number()
        if kind != _VIPER:
            self.number()
            self.number()
            return
        rodata = self.number() if flags & _RODATA else 0
        if flags & _BSS:
            self.number()
        self.take(rodata)
        while flags & _RELOCATIONS and (op := self.byte()) != 0xFF:
            if op & 1:
                self.number()
            if op >> 1 <= 5 and op >> 1 & 1:
                self.number()


def _function(data: bytes, names: Sequence[str]) -> Function:
    reader = _Reader(data, 0)
    first = reader.byte()
    arguments, shift = first & 3, 0
    byte = first
    while byte & 0x80:
        byte = reader.byte()
        arguments += ((byte & 4) << shift) + ((byte & 8) >> 3 << shift)  # by place, by keyword
        shift += 1
    info = cells = shift = 0
    byte = 0x80
    while byte & 0x80:
        byte = reader.byte()
        info |= (byte & 0x7E) >> 1 << 6 * shift
        cells |= (byte & 1) << shift
        shift += 1
    start = reader.at
    name = names[reader.number()]
    for _ in range(arguments):
        reader.number()
    lines = tuple(_lines(data[reader.at : start + info]))
    return Function(name, data, start + info + cells, lines)


def _lines(table: bytes) -> Iterator[tuple[int, int]]:
    """Pairs of offset and line: from that offset on it is that line."""
    reader = _Reader(table, 0)
    offset, line = 0, 1
    while reader.at < len(table):
        byte = reader.byte()
        if byte & 0x80:
            skip, more = byte & 0x0F, (byte << 4) & 0x700 | reader.byte()
        else:
            skip, more = byte & 0x1F, byte >> 5
        offset += skip
        line += more
        yield offset, line
