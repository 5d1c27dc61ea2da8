# SPDX-License-Identifier: Apache-2.0
"""The tables of include/coffret/tables.h, read back from a linked ELF by symbol.

Independent of `compiler.tables`, which wrote them: the layouts here are the C structures' own.
Everything read is bounded; an ELF that does not have exactly these tables is refused.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

MAX_TEXT = 64
TASK_LAYOUT = struct.Struct("<3I 2I 4I 2I 5I 2I 2I 2I H 6B")
SINK_LAYOUT = struct.Struct("<2I 2I")
GATE_LAYOUT = struct.Struct("<I 2I 2I 3I B 3s")
CHANNEL_LAYOUT = struct.Struct("<3I 2H 4B H 2B")
_COMPONENT = struct.Struct("<2I 32s")
COUNTS_LAYOUT = struct.Struct("<8B")
_DEVICE = struct.Struct("<4I H 10B")
_WORDS = struct.Struct("<2I")
# Elf32_Sym (Tool Interface Standard ELF 1.2, figure 1-15): name, value, size, info, other, section.
_SYMBOL = struct.Struct("<3I 2B H")
_STT_FUNC = 2
_SHN_UNDEF = 0


class TableError(ValueError):
    """The ELF does not have the tables, or they are malformed."""


@dataclass(frozen=True, slots=True)
class TaskRow:
    """struct task. Pointers to text are followed, `entry` is the function's name."""

    name: str
    module: str | None
    entry: str
    memory: tuple[int, int]
    grants: tuple[tuple[int, int], ...]
    memory_base: int
    memory_size: int
    stack_base: int
    stack_size: int
    window_save: int
    heap_base: int
    heap_size: int
    secrecy: int
    integrity: int
    calls: int
    backoff_ms: int
    slice_ms: int
    kind: int
    priority: int
    restart: int
    flags: int
    body: int
    partition: int


@dataclass(frozen=True, slots=True)
class SinkRow:
    """struct sink."""

    name: str
    device: int
    accepts: int


@dataclass(frozen=True, slots=True)
class GateRow:
    """struct gate."""

    name: str
    releases: int
    vouches: int
    max_bytes: int
    budget: int
    window_s: int
    task: int


@dataclass(frozen=True, slots=True)
class ChannelRow:
    """struct channel."""

    name: str
    from_name: str
    queue: int
    min_size: int
    max_size: int
    depth: int
    source: int
    target: int
    gate: int
    reply_max: int
    kind: int


@dataclass(frozen=True, slots=True)
class ComponentRow:
    """struct component."""

    type: str
    version: str
    digest: bytes


@dataclass(frozen=True, slots=True)
class DeviceRow:
    """struct device."""

    name: str
    base: int
    size: int
    functions: int
    irq: int
    kind: int
    id: int
    task: int
    event: int
    function: int
    implied: int
    pins: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Tables:
    """Everything the monitor will enforce, as the image holds it."""

    appliance: str
    version: str
    board: str
    slot: int
    enclaves: int
    tags: tuple[str, ...]
    window: tuple[int, int]
    tasks: tuple[TaskRow, ...]
    sinks: tuple[SinkRow, ...]
    gates: tuple[GateRow, ...]
    channels: tuple[ChannelRow, ...]
    components: tuple[ComponentRow, ...]
    devices: tuple[DeviceRow, ...]


def read_tables(elf: Path) -> Tables:
    """Read the tables of one linked image. Raises TableError, OSError."""
    with elf.open("rb") as file:
        try:
            image = _Image(file)
            return image.tables()
        except ELFError as error:
            raise TableError(f"{elf.name} is not an ELF image: {error}") from error


class _Image:
    """Symbols and loaded bytes of one ELF."""

    def __init__(self, file: BinaryIO) -> None:
        elf = ELFFile(file)
        if elf.elfclass != 32 or not elf.little_endian:
            raise TableError("not a 32-bit little-endian image")
        self._loaded = [
            (int(s["p_vaddr"]), s.data())
            for s in elf.iter_segments()
            if s["p_type"] == "PT_LOAD" and s["p_filesz"]
        ]
        self._symbols: dict[str, tuple[int, int]] = {}
        self._functions: dict[int, str] = {}
        for section in elf.iter_sections():
            if isinstance(section, SymbolTableSection):
                names = elf.get_section(section["sh_link"]).data()
                self._add_symbols(section.data(), names)

    def _add_symbols(self, table: bytes, names: bytes) -> None:
        """Elf32_Sym entries, read directly: pyelftools takes a tenth of a second for an image's."""
        for name_at, value, size, info, _, section in _SYMBOL.iter_unpack(table):
            if section == _SHN_UNDEF:  # only asked for: a weak name that nothing defines
                continue
            name = names[name_at : names.index(b"\0", name_at)].decode("ascii", "replace")
            if info & 0xF == _STT_FUNC:
                self._functions.setdefault(value, name)
            elif not name.startswith("coffret_"):
                continue
            elif self._symbols.setdefault(name, (value, size)) != (value, size):
                raise TableError(f"{name} is defined twice")

    def _bytes(self, address: int, size: int) -> bytes:
        for base, data in self._loaded:
            if base <= address and address + size <= base + len(data):
                return data[address - base : address - base + size]
        raise TableError(f"{size} bytes at {address:#x} are not in the image")

    def _symbol(self, name: str, size: int | None = None) -> bytes:
        if name not in self._symbols:
            raise TableError(f"the image has no {name}")
        address, length = self._symbols[name]
        if size is not None and length != size:
            raise TableError(f"{name} has {length} bytes, not {size}")
        return self._bytes(address, length)

    def _text(self, address: int) -> str:
        for base, data in self._loaded:
            if base <= address < base + len(data):
                raw = data[address - base : address - base + MAX_TEXT + 1]
                text, end, _ = raw.partition(b"\0")
                if end and text.isascii():
                    return text.decode("ascii")
        raise TableError(f"no text at {address:#x}")

    def _array_text(self, name: str) -> str:
        text, end, rest = self._symbol(name).partition(b"\0")
        if not end or rest or not text.isascii():
            raise TableError(f"{name} is not one text")
        return text.decode("ascii")

    def _rows(self, name: str, count: int, layout: struct.Struct) -> list[tuple[int, ...]]:
        # An empty table has one row of zeros (C has no empty arrays).
        data = self._symbol(name, max(1, count) * layout.size)
        if count == 0 and any(data):
            raise TableError(f"{name} has a row that is not counted")
        return list(layout.iter_unpack(data))[:count]

    def _function(self, address: int) -> str:
        return self._functions.get(address, f"{address:#x}")

    def tables(self) -> Tables:
        counts = COUNTS_LAYOUT.unpack(self._symbol("coffret_counts", COUNTS_LAYOUT.size))
        tasks, enclaves, channels, gates, sinks, components, slot, devices = counts
        if enclaves > tasks:
            raise TableError("coffret_counts is malformed")
        window = _WORDS.unpack(self._symbol("coffret_window", _WORDS.size))
        return Tables(
            appliance=self._array_text("coffret_appliance_name"),
            version=self._array_text("coffret_appliance_version"),
            board=self._array_text("coffret_board_name"),
            slot=slot,
            enclaves=enclaves,
            tags=self._tags(),
            window=(window[0], window[1]),
            tasks=tuple(map(self._task, self._rows("coffret_tasks", tasks, TASK_LAYOUT))),
            sinks=tuple(map(self._sink, self._rows("coffret_sinks", sinks, SINK_LAYOUT))),
            gates=tuple(map(self._gate, self._rows("coffret_gates", gates, GATE_LAYOUT))),
            channels=tuple(
                map(self._channel, self._rows("coffret_channels", channels, CHANNEL_LAYOUT))
            ),
            components=tuple(
                ComponentRow(self._text(row[0]), self._text(row[1]), _digest(row[2]))
                for row in self._rows("coffret_components", components, _COMPONENT)
            ),
            devices=self._devices(devices),
        )

    def _devices(self, count: int) -> tuple[DeviceRow, ...]:
        if count == 0:
            if "coffret_devices" in self._symbols:
                raise TableError("coffret_devices is there but counts no rows")
            return ()
        rows = self._rows("coffret_devices", count, _DEVICE)
        return tuple(map(self._device, rows))

    def _device(self, row: tuple[int, ...]) -> DeviceRow:
        return DeviceRow(
            name=self._text(row[0]),
            base=row[1],
            size=row[2],
            functions=row[3],
            irq=row[4],
            kind=row[5],
            id=row[6],
            task=row[7],
            event=row[8],
            function=row[9],
            implied=row[10],
            pins=row[11:15],
        )

    def _tags(self) -> tuple[str, ...]:
        data = self._symbol("coffret_tag_names")
        if len(data) % 4 or len(data) > 4 * 65 or data[-4:] != bytes(4):
            raise TableError("coffret_tag_names is malformed")
        return tuple(self._text(address) for (address,) in struct.iter_unpack("<I", data[:-4]))

    def _task(self, row: tuple[int, ...]) -> TaskRow:
        return TaskRow(
            name=self._text(row[0]),
            module=self._text(row[1]) if row[1] else None,
            entry=self._function(row[2]),
            memory=(row[3], row[4]),
            grants=((row[5], row[6]), (row[7], row[8])),
            memory_base=row[9],
            memory_size=row[10],
            stack_base=row[11],
            stack_size=row[12],
            window_save=row[13],
            heap_base=row[14],
            heap_size=row[15],
            secrecy=_label(row[16:18]),
            integrity=_label(row[18:20]),
            calls=row[20],
            backoff_ms=row[21],
            slice_ms=row[22],
            kind=row[23],
            priority=row[24],
            restart=row[25],
            flags=row[26],
            body=row[27],
            partition=row[28],
        )

    def _sink(self, row: tuple[int, ...]) -> SinkRow:
        return SinkRow(self._text(row[0]), row[1], _label(row[2:4]))

    def _gate(self, row: tuple[int, ...]) -> GateRow:
        if any(_digest(row[-1])):
            raise TableError("coffret_gates has reserved bytes that are not zero")
        return GateRow(self._text(row[0]), _label(row[1:3]), _label(row[3:5]), *row[5:9])

    def _channel(self, row: tuple[int, ...]) -> ChannelRow:
        if row[11]:
            raise TableError("coffret_channels has a reserved byte that is not zero")
        return ChannelRow(self._text(row[0]), self._text(row[1]), *row[2:11])


def _label(words: tuple[int, ...]) -> int:
    return words[0] | words[1] << 32


def _digest(value: object) -> bytes:
    """`struct` gives bytes for an `s` field, whatever the row's type says."""
    if not isinstance(value, bytes):
        raise TableError("a field of the wrong type")
    return value
