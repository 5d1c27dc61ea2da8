# SPDX-License-Identifier: Apache-2.0
"""A board's log into Python tracebacks: places of an image become files, lines and functions."""

from __future__ import annotations

import bisect
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from firmware.bundle.symbols import Symbols

MONITOR = "monitor"
HEAD = "Traceback (most recent call last):"
_PLACE = re.compile(r"  at ([0-9a-f]{1,8})")
_LINE = re.compile(r'  File "(.+)", line ([0-9]{1,9})(?:, in (.+))?')
_FAULT = re.compile(
    r"fault (\S+) ([a-z ]+?)(?: 0x([0-9a-f]{1,8}))?(?: at((?: [0-9a-f]{1,8}){1,16}))?"
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the log: milliseconds since the reset, who wrote it, what."""

    ms: int
    who: str
    text: str


@dataclass(frozen=True, slots=True)
class Frame:
    """Where a function was. `file` is None for a place that is no bytecode of the image."""

    file: str | None
    line: int
    function: str


@dataclass(frozen=True, slots=True)
class Trace:
    """One fault of an enclave: frames, the outermost first, and what was said behind them."""

    who: str
    ms: int
    frames: tuple[Frame, ...]
    said: tuple[str, ...]

    def lines(self, sources: Mapping[str, Path] = MappingProxyType({})) -> Iterator[str]:
        """As CPython prints it; with the text of a line whose file is among `sources`."""
        texts = {n: path.read_text(encoding="utf-8").splitlines() for n, path in sources.items()}
        if any(frame.file is not None for frame in self.frames):
            yield HEAD
        for frame in self.frames:
            if frame.file is None:
                yield f"  in {frame.function}"
                continue
            yield f'  File "{frame.file}", line {frame.line}, in {frame.function}'
            text = texts.get(frame.file, [])
            if frame.line <= len(text):
                yield f"    {text[frame.line - 1].strip()}"
        yield from self.said


def traces(log: Sequence[Entry], image: str, symbols: Symbols, elf: Path) -> tuple[Trace, ...]:
    """The faults in the log of a board that runs `image` (SHA-256, hex), linked as `elf`."""
    code = _Code.of(elf)
    found: list[Trace] = []
    told: set[str] = set()  # whose next fault is the end of a traceback
    for number, entry in enumerate(log):
        if entry.who != MONITOR and entry.text == HEAD:
            found.append(_python(log, number, image, symbols))
            told.add(entry.who)
        elif entry.who == MONITOR and (match := _FAULT.fullmatch(entry.text)):
            if match[1] not in told:
                # The processor's instruction, then those of Python frames, the innermost first.
                told_places = [int(place, 16) for place in (match[4] or match[3] or "").split()]
                frames = tuple(_frames_of_fault(told_places, image, symbols, code))
                found.append(Trace(match[1], entry.ms, frames, (entry.text,)))
            told.discard(match[1])
    return tuple(found)


def _python(log: Sequence[Entry], number: int, image: str, symbols: Symbols) -> Trace:
    """The traceback whose head is entry `number`; others may have written between its lines."""
    head = log[number]
    frames: list[Frame] = []
    said: list[str] = []
    for entry in log[number + 1 :]:
        if entry.who == MONITOR and entry.text.startswith(f"fault {head.who} "):
            return Trace(head.who, head.ms, tuple(frames), tuple(said))
        if entry.who != head.who:
            continue
        place, line = _PLACE.fullmatch(entry.text), _LINE.fullmatch(entry.text)
        if place and not said:
            frames.append(_frame(int(place[1], 16), image, symbols))
        elif line and not said:  # of a debug image
            frames.append(Frame(line[1], int(line[2]), line[3] or "<module>"))
        elif entry.text == HEAD:
            break
        else:
            said.append(entry.text)
    # It went on after the exception, which it had printed itself: one line is the exception's.
    return Trace(head.who, head.ms, tuple(frames), tuple(said[:1]))


def _frames_of_fault(
    places: Sequence[int], image: str, symbols: Symbols, code: _Code
) -> Iterator[Frame]:
    """The outermost first. Where the processor was may be no function, or have no name."""
    yield from (_frame(place, image, symbols) for place in reversed(places[1:]))
    for place in places[:1]:
        if symbols.at(image, place) is not None:
            yield _frame(place, image, symbols)
        elif (function := code.name(place)) is not None:
            yield Frame(None, 0, function)


def _frame(address: int, image: str, symbols: Symbols) -> Frame:
    found = symbols.at(image, address)
    if found is None:
        return Frame(None, 0, f"{address:#x}, which is no function of this image")
    place, line = found
    return Frame(place.file, line, place.name)


@dataclass(frozen=True, slots=True)
class _Code:
    """The functions in C of an image, by address."""

    starts: tuple[int, ...]
    names: tuple[str, ...]
    ends: tuple[int, ...]

    @classmethod
    def of(cls, elf: Path) -> _Code:
        with elf.open("rb") as stream:
            table = ELFFile(stream).get_section_by_name(".symtab")
            assert isinstance(table, SymbolTableSection)
            rows = sorted(
                (int(each["st_value"]) & ~1, each.name, int(each["st_size"]))
                for each in table.iter_symbols()
                if each["st_info"]["type"] == "STT_FUNC" and each["st_size"]
            )
        ends = tuple(start + size for start, _, size in rows)
        return cls(tuple(row[0] for row in rows), tuple(row[1] for row in rows), ends)

    def name(self, address: int) -> str | None:
        """`function+offset`, or None."""
        index = bisect.bisect_right(self.starts, address) - 1
        if index < 0 or address >= self.ends[index]:
            return None
        return f"{self.names[index]}+{address - self.starts[index]:#x}"


def unchanged(folder: Path, symbols: Symbols) -> Mapping[str, Path]:
    """The modules below `folder` that are those of the image, byte for byte, by the names that
    frames have for them.
    """
    files = {
        path: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.rglob("*.py"))
    }
    return {
        name: path
        for name, digest in symbols.sources.items()
        for path, found in files.items()
        if found == digest and f"/{path.as_posix()}".endswith(f"/{name}")
    }
