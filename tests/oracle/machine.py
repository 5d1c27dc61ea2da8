# SPDX-License-Identifier: Apache-2.0
"""One emulated board that runs thousands of appliances: only the bytes of its tables change.

The image is linked once, with the largest tables. For each case the host writes table rows and
operations into the file that is the board's flash, the start program copies the rows into the
image, the monitor runs, and what happened is read back from the file.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

import boards
from boards.memory import Region
from boards.mpu import Access
from enclaves.labels import Label, mask
from enclaves.monitor_system import Restart, System, Task
from firmware.compiler.link import (
    HEADER_SIZE,
    KEEP,
    RUNTIME,
    Layout,
    LinkedImage,
    Statics,
    link_image,
    monitor_sources,
    of_image,
)
from firmware.compiler.tables import Component, tables_c
from firmware.compiler.toolchain import CORES, CompileJob, zig_toolchain
from firmware.image.table_reader import (
    CHANNEL_LAYOUT,
    COUNTS_LAYOUT,
    GATE_LAYOUT,
    SINK_LAYOUT,
    TASK_LAYOUT,
)
from firmware.planning import plan as planned
from firmware.planning.plan import FLAGS, NO_GATE, TO_SINK, Grant, Kind, Plan, queue_bytes
from firmware.planning.syscalls import Call
from tests.monitor.rig import COUNTED, STUB_SCRIPT, WARNINGS, board_roots, handoff
from tests.qemu import FlashFile, Machine

PROGRAM = Path(__file__).parent / "program"
BOARD = "mps2-an385"
ENCLAVES, CHANNELS, GATES = 6, 16, 4
SINK = "usb"
TAG_NUMBERS = {"low": 0, "top": 31, "next": 32, "far": 63}

# oracle.h
NV = 0x2100_0000
PATCHES = 0x2120_0000
PAGE = Region(base=0x2121_0000, size=0x1_0000)
TASKS_MAX, STEPS_MAX, DATA_MAX = 10, 64, 48
_HEAD = struct.Struct(f"<6I {TASKS_MAX}I {TASKS_MAX}I")
_OPERATION = struct.Struct("<4B 2H I")
_RESULT = struct.Struct(f"<I i Q 2I {DATA_MAX}s")
_STEP = struct.Struct(f"<2I Q {TASKS_MAX}s {TASKS_MAX}s {TASKS_MAX}s 2x")
_OPERATIONS = _HEAD.size
_RESULTS = -(-(_OPERATIONS + STEPS_MAX * _OPERATION.size) // 8) * 8
_STEPS = _RESULTS + STEPS_MAX * _RESULT.size
_LOG = _STEPS + STEPS_MAX * _STEP.size

TIMER = Region(base=0x4000_1000, size=0x1000)
STEP_MS = 3
FRAME_MS = 24  # the longest round of fixed slices

MEMORY = 0x800  # of a task
STACK = 0x400
QUEUES = Region(base=0x2000_8800, size=0x7000)
WINDOW = Region(base=0x2000_8000, size=0x400)


@dataclass(frozen=True, slots=True)
class Operation:
    """One step. `kind` as oracle.h numbers it; what it does not need is 0."""

    kind: int
    task: int = 0
    channel: int = 0
    length: int = 0
    capacity: int = 0
    mask: int = 0
    salt: int = 0  # of the message, whose bytes count up from the step's number


@dataclass(frozen=True, slots=True)
class Result:
    """What a call gave: the step in which it returned, None if it never did."""

    step: int | None
    value: int
    time_us: int
    ticks: tuple[int, int]  # of a counter faster than the processor, running down: before and after
    data: bytes


@dataclass(frozen=True, slots=True)
class Step:
    """The world after a step. The counters are by task."""

    taken: bool
    time_us: int
    lives: tuple[int, ...]
    faults: tuple[int, ...]
    restarts: tuple[int, ...]
    log: tuple[str, ...]
    waits: int  # bit n: task n waits for its restart


@dataclass(frozen=True, slots=True)
class Observed:
    """What a case did. `finished` is false when the board reset before its end."""

    finished: bool
    results: tuple[Result, ...]
    steps: tuple[Step, ...]
    left: bytes


class HungError(Exception):
    """The board did not come to the end of a case."""


# Changes the text of a source file before it is compiled; None: another file's.
Alter = Callable[[Path], str | None]


def build(
    directory: Path,
    alter: Alter = lambda _: None,
    sources: tuple[str, ...] = ("puppets.c",),
    *,
    lto: bool = False,
) -> LinkedImage:
    """The image. Without link-time optimisation each file is compiled once and kept.

    Its idle loop does not sleep (`_awake`), so that its time is a count of instructions alone.
    """
    board, toolchain = boards.load(BOARD), zig_toolchain()
    core = CORES[board.core]
    roots, includes = board_roots(board, directory)
    tables = tables_c(base_plan(), 0, Component("runtime", "1", bytes(32)))
    # The largest tables are there even if the monitor has no code for them: a case leaves them out.
    rows = (line for line in tables.splitlines() if not line.startswith("_Static_assert"))
    (directory / "tables.c").write_text("\n".join(rows) + "\n", encoding="utf-8")
    every = of_image(board, (*monitor_sources(), *board.image_sources))
    paths = [p for p in every if p.name != "attester.c"] + [PROGRAM / name for name in sources]
    jobs = []
    for path in (*paths, directory / "tables.c"):
        text, place = alter(path) or _awake(path), path
        if text is not None:
            place = directory / path.name
            place.write_text(text, encoding="utf-8")
        at = (path.parent, *includes, PROGRAM)
        flags = () if text is not None else WARNINGS
        jobs.append(CompileJob(place, at, flags=flags, lto=lto and place.name != "tables.c"))
    jobs.append(CompileJob(RUNTIME / "boot/string.c", includes, flags=("-ffreestanding",)))
    objects = toolchain.compile(jobs, core, roots)
    if lto:
        objects = (toolchain.optimise(objects, core, KEEP), *objects[-2:])
    layout = Layout(
        Region(base=0x2000_0000, size=0x8000),
        0x800,
        WINDOW,
        (Statics("manager", Region(base=0x2003_1000, size=0x1000)),),
    )
    return link_image(toolchain, objects, board, layout, 0, directory / "oracle.elf")


def _awake(path: Path) -> str | None:
    """The idle loop without WFI, which a core may take for a NOP (DDI 0403, B1.5.19).

    While a processor sleeps, the emulator's main loop puts the clock forward to the next timer
    (`icount_start_warp_timer`). It may see the processor asleep before the processor's thread has
    added the instructions that led there to the count; they are then counted on top, and a tick
    comes late by what the host's scheduler makes of it: once in some 1,600 runs on a busy host.
    Where nobody sleeps, timers expire in the processor's own thread, at their instruction.
    """
    if path.name != "core_start.c":
        return None
    text, sleep = path.read_text(encoding="utf-8"), "cpu_wait_for_interrupt();"
    assert text.count(sleep) == 1, "the idle loop has moved"
    return text.replace(sleep, r'__asm__ volatile(".rept 64\n nop\n .endr");')  # cheap to emulate


def base_plan() -> Plan:
    """The largest plan; what a case does not need is left out of its counts."""
    board = boards.load(BOARD)
    tasks = tuple(_task(number) for number in range(ENCLAVES))
    services = (
        _service(ENCLAVES, "manager", Region(base=0x2003_0000, size=0x2000)),
        _service(
            ENCLAVES + 1,
            "attester",
            Region(base=board.memory.handoff.end - 0x1000, size=0x1000),
        ),
    )
    return Plan(
        appliance="oracle",
        version="1.0.0",
        security_counter=1,
        revokes_below=0,
        board=board,
        tags=tuple(f"t{number}" for number in range(64)),
        tasks=(*tasks, *services),
        channels=tuple(
            planned.Channel(n, f"c{n}", "", 0, 0, 0, 0, 0, 0, NO_GATE) for n in range(CHANNELS)
        ),
        gates=tuple(planned.Gate(n, f"g{n}", 0, 0, 0, 0, 0, 0) for n in range(GATES)),
        sinks=(planned.Sink(0, SINK, 0, 0),),
        monitor=Region(base=0x2000_0000, size=0x8000),
        main_stack=0x800,
        queues=QUEUES,
        window=WINDOW,
        free_ram=0,
        devices=(),
    )


def memory_of(number: int) -> Region:
    """The memory of a task."""
    return Region(base=0x2001_0000 + number * MEMORY, size=MEMORY)


def _task(number: int) -> planned.Task:
    calls = [c for c in Call if c <= Call.ACCOUNT]
    memory = memory_of(number)
    return _planned(
        number, f"e{number}", memory, "vm_main", calls, Kind.ENCLAVE, memory.base + STACK
    )


def _service(number: int, name: str, memory: Region) -> planned.Task:
    return _planned(number, name, memory, f"{name}_main", list(Call), Kind.SERVICE, 0)


def _planned(
    number: int, name: str, memory: Region, entry: str, calls: list[Call], kind: Kind, save: int
) -> planned.Task:
    grants = (Grant("page", PAGE, Access.RAM), Grant("timer1", TIMER, Access.DEVICE))
    return planned.Task(
        number=number,
        name=name,
        kind=kind,
        module=name if kind is Kind.ENCLAVE else None,
        entry=entry,
        memory=memory,
        stack_size=STACK,
        window_save=save,
        heap=None,
        statics=None,
        secrecy=0,
        integrity=0,
        calls=sum(1 << call for call in calls),
        priority=8,
        restart=0,
        backoff_ms=100,
        grants=(grants, grants),
        code_digest=bytes(32) if kind is Kind.ENCLAVE else None,
    )


class _Tables:
    """The rows of the linked image, and the same with the fields of a case."""

    def __init__(self, elf: Path) -> None:
        with elf.open("rb") as stream:
            image = ELFFile(stream)
            table = image.get_section_by_name(".symtab")
            assert isinstance(table, SymbolTableSection)
            self._places = {
                s.name: int(s["st_value"])
                for s in table.iter_symbols()
                if s.name.startswith("coffret_")
            }
            self._loaded = [
                (int(s["p_vaddr"]), s.data())
                for s in image.iter_segments()
                if s["p_type"] == "PT_LOAD" and s["p_filesz"]
            ]
        self._tasks = self._rows("coffret_tasks", TASK_LAYOUT, ENCLAVES + 2)
        self._channels = self._rows("coffret_channels", CHANNEL_LAYOUT, CHANNELS)
        self._gates = self._rows("coffret_gates", GATE_LAYOUT, GATES)
        self._sinks = self._rows("coffret_sinks", SINK_LAYOUT, 1)

    def _rows(self, name: str, layout: struct.Struct, count: int) -> list[list[int]]:
        at = self._places[name]
        base, data = next((b, d) for b, d in self._loaded if b <= at < b + len(d))
        raw = data[at - base : at - base + count * layout.size]
        return [list(row) for row in layout.iter_unpack(raw)]

    def patches(self, system: System, slices: tuple[int, ...] = ()) -> bytes:
        """What start.c copies: address, words, data, ...; zeros at the end."""
        enclaves = [task for task in system.tasks if not task.sink]
        numbers = {task.name: n for n, task in enumerate(enclaves)}
        gates = {gate.name: n for n, gate in enumerate(system.gates)}
        tasks = []
        for number, task in enumerate(enclaves):
            first = next(n for n, t in enumerate(enclaves) if _body(t) == _body(task))
            row = list(self._tasks[number])
            place = self._tasks[first]
            row[3:5], row[9:14] = place[3:5], place[9:14]
            row[16:20] = (*_label(task.secrecy), *_label(task.integrity))
            row[21] = task.backoff_ms
            row[22] = slices[number] if slices else 0
            row[25] = list(Restart).index(task.restart)
            row[26:29] = (FLAGS[str(task.life)], first, first)
            tasks.append(row)
        for service in self._tasks[ENCLAVES:]:
            row = list(service)
            row[22] = 4 if slices and service is self._tasks[ENCLAVES] else 0
            row[26:29] = (0, 0, len(enclaves))
            tasks.append(row)
        found = _patch(self._places["coffret_tasks"], TASK_LAYOUT, tasks)
        found += _patch(
            self._places["coffret_channels"],
            CHANNEL_LAYOUT,
            self._channel_rows(system, numbers, gates),
        )
        gate_rows = [
            [
                self._gates[n][0],
                *_label(gate.releases),
                *_label(gate.vouches),
                gate.max_bytes,
                gate.budget,
                gate.window_s,
                numbers[gate.task],
                bytes(3),
            ]
            for n, gate in enumerate(system.gates)
        ]
        found += _patch(self._places["coffret_gates"], GATE_LAYOUT, gate_rows)
        accepts = [task.secrecy for task in system.tasks if task.sink]
        sink = [*self._sinks[0][:2], *_label(accepts[0] if accepts else frozenset())]
        found += _patch(self._places["coffret_sinks"], SINK_LAYOUT, [sink])
        counts = [
            len(enclaves) + 2,
            len(enclaves),
            len(system.channels),
            len(system.gates),
            1,
            1,
            0,
            0,
        ]
        found += _patch(self._places["coffret_counts"], COUNTS_LAYOUT, [counts])
        return found + bytes(8)

    def _channel_rows(
        self, system: System, numbers: dict[str, int], gates: dict[str, int]
    ) -> list[list[int]]:
        rows, at = [], QUEUES.base
        for number, channel in enumerate(system.channels):
            kind = planned.ChannelKind[channel.kind.name]
            to_sink = channel.target not in numbers
            size = 0 if to_sink else queue_bytes(channel.max_size, channel.depth, kind)
            rows.append(
                [
                    *self._channels[number][:2],
                    at if size else 0,
                    channel.min_size,
                    channel.max_size,
                    channel.depth,
                    numbers[channel.source],
                    TO_SINK if to_sink else numbers[channel.target],
                    gates[channel.gate] if channel.gate else NO_GATE,
                    channel.reply_max,
                    int(kind),
                    0,
                ]
            )
            at += size
        assert at <= QUEUES.end
        return rows


def _body(task: Task) -> str:
    return task.body or task.name


def _label(label: Label) -> tuple[int, int]:
    bits = mask(label, TAG_NUMBERS)
    return bits & 0xFFFF_FFFF, bits >> 32


def _patch(address: int, layout: struct.Struct, rows: list[list[Any]]) -> bytes:
    data = b"".join(layout.pack(*row) for row in rows)
    data += bytes(-len(data) % 4)
    return struct.pack("<II", address, len(data) // 4) + data if data else b""


@dataclass(slots=True)
class OracleBoard:
    """The emulator with the image, on while the `with` block runs."""

    image: LinkedImage = field(repr=False)
    directory: Path
    patience_s: float = 60.0
    slow: bool = False  # an instruction takes longer than a tick of the finest counter
    extra: tuple[str, ...] = ()
    _machine: Machine = field(init=False)
    _file: mmap.mmap = field(init=False)
    _tables: _Tables = field(init=False)

    def __enter__(self) -> Self:
        self._tables = _Tables(self.image.elf)
        self._start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._machine.__exit__(kind, error, trace)
        self._file.close()

    def _start(self) -> None:
        board = boards.load(BOARD)
        flash = FlashFile.factory(board, self.directory / "nv.bin")
        flash.write_slot(0, b"\xff" * HEADER_SIZE + self.image.body)
        facts = self.directory / "handoff.bin"
        facts.write_bytes(handoff())
        loader = f"loader,file={facts},addr={board.memory.handoff.base:#x},force-raw=on"
        with flash.path.open("r+b") as file:
            self._file = mmap.mmap(file.fileno(), 0)
        stub = start_program(self.directory)
        counted = ("-icount", "shift=6,sleep=off") if self.slow else COUNTED
        self._machine = Machine(board, stub, flash, ("-device", loader, *counted, *self.extra))
        self._machine.__enter__()
        self._machine.read_until(b"R", 20)

    def run(
        self, system: System, operations: tuple[Operation, ...], slices: tuple[int, ...] = ()
    ) -> Observed:
        """One case, from a reset. Raises HungError; the board is a new one then."""
        self.prepare(self._tables.patches(system, slices))
        page = PAGE.base - NV
        step_ms = 2 * FRAME_MS if slices else STEP_MS
        head = _HEAD.pack(len(operations), 0, 0, 0, step_ms, 0, *([0] * 2 * TASKS_MAX))
        made = b"".join(
            _OPERATION.pack(o.kind, o.task, o.channel, o.salt, o.length, o.capacity, o.mask)
            for o in operations
        )
        self._file[page : page + _LOG] = (head + made).ljust(_LOG, b"\0")
        self.go()
        return self._observed(len(operations))

    def prepare(self, patches: bytes) -> None:
        """Lay the tables where the start program finds them."""
        self._file[PATCHES - NV : PATCHES - NV + len(patches)] = patches

    def go(self) -> None:
        """Start, and wait for the reset at the end."""
        self._machine.send(b"g")
        try:
            self._machine.read_until(b"R", self.patience_s)
        except AssertionError as error:
            self._machine.__exit__(None, None, None)
            self._file.close()
            self._start()
            raise HungError from error

    def page(self, offset: int, length: int) -> bytes:
        """Bytes of the shared page."""
        at = PAGE.base - NV + offset
        return self._file[at : at + length]

    def left(self) -> bytes:
        """What has come out of the sink since the last time."""
        data = b""
        self._machine.stream.setblocking(False)
        try:
            while more := self._machine.stream.recv(4096):
                data += more
        except BlockingIOError:
            pass
        return data

    def _observed(self, count: int) -> Observed:
        head = _HEAD.unpack(self.page(0, _HEAD.size))
        log: list[list[str]] = [[] for _ in range(STEPS_MAX)]
        for line in self.page(_LOG, head[3]).decode("ascii").splitlines():
            log[int(line[:2])].append(line[3:])
        results = [
            Result(done - 1 if done else None, value, time, (before, after), data)
            for done, value, time, before, after, data in _RESULT.iter_unpack(
                self.page(_RESULTS, count * _RESULT.size)
            )
        ]
        steps = [
            Step(
                bool(taken),
                time,
                tuple(lives),
                tuple(faults),
                tuple(restarts),
                tuple(log[n]),
                waits,
            )
            for n, (taken, waits, time, lives, faults, restarts) in enumerate(
                _STEP.iter_unpack(self.page(_STEPS, count * _STEP.size))
            )
        ]
        return Observed(bool(head[2]), tuple(results), tuple(steps), self.left())


def start_program(directory: Path) -> Path:
    """The ELF that stands in for boot."""
    board, toolchain = boards.load(BOARD), zig_toolchain()
    roots, includes = board_roots(board, directory)
    objects = toolchain.compile(
        [CompileJob(PROGRAM / "start.c", includes)], CORES[board.core], roots
    )
    script = directory / "start.ld"
    script.write_text(STUB_SCRIPT, encoding="utf-8")
    return toolchain.link(objects, script, directory / "start.elf", CORES[board.core])
