# SPDX-License-Identifier: Apache-2.0
"""Builds the test program into an image for slot A; runs it behind a boot of ten instructions."""

from __future__ import annotations

import json
import socket
import struct
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile

import boards
from boards.config_header import config_header
from boards.memory import Region
from boards.model import Board
from firmware.compiler.boot_build import build_boot
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
from firmware.compiler.object_cache import Roots
from firmware.compiler.sources import MBEDTLS, find_tree
from firmware.compiler.toolchain import CORES, CompileJob, zig_toolchain
from firmware.image.format import Version
from firmware.image.signer import LocalSigner
from firmware.image.trust import Trust
from firmware.image.writer import ImageContent, wrap_image
from firmware.planning.monitor_features import EVERYTHING, HEADER, Feature, constants, image_config
from tests.qemu import FlashFile, Machine

PROGRAM = Path(__file__).parent / "program"
REPOSITORY = Path(__file__).parents[2]
WARNINGS = ("-Wall", "-Wextra", "-Werror")
HANDOFF_MAGIC = 0x4F484643
KEY = ec.derive_private_key(0xC0FF8E7, ec.SECP256R1())

MAIN_STACK = 0x400  # the least that a board gives it
# Time passes by instructions, 32 ns each, and idle time at once: a busy host changes no result.
COUNTED = ("-icount", "shift=5,sleep=off")
STUB_SCRIPT = """ENTRY(reset)
SECTIONS {
  .text 0 : { KEEP(*(.vectors)) *(.text .text.*) }
  /DISCARD/ : { *(.ARM.exidx*) *(.comment) }
}
"""


# Changes the text of a source file before it is compiled; None: another file's.
Alter = Callable[[Path], str | None]


@dataclass(frozen=True, slots=True)
class Program:
    """A linked test image and what starts it: a stub, where there is a Secure world boot itself."""

    board: Board
    image: LinkedImage
    stub: Path


def layout_on(board: Board) -> Layout:
    """Where the program's variables go (program.h has the same places)."""
    ram = board.memory.ram.base
    return Layout(
        monitor=Region(base=ram, size=0x8000),
        main_stack=MAIN_STACK,
        window=Region(base=ram + 0x8000, size=0x400),
        # Behind the stack of the controller, which is task 10.
        statics=(Statics("manager", Region(base=ram + 0x1_A800, size=0x800)),),
    )


def board_roots(board: Board, directory: Path) -> tuple[Roots, tuple[Path, ...]]:
    """Roots and include directories for the board's C; writes the headers that a build makes.

    The monitor has everything but what serves devices, unless image_config.h is there already.
    """
    (directory / "board_config.h").write_text(config_header(board), encoding="utf-8")
    if not (directory / HEADER).is_file():
        config = image_config(constants(EVERYTHING - {Feature.DEVICES}, 2048))
        (directory / HEADER).write_text(config, encoding="utf-8")
    includes = (
        directory,
        RUNTIME,
        RUNTIME / "include",
        RUNTIME / "monitor",
        RUNTIME / "libc",
        *board.include_directories,
    )
    return Roots({"coffret": REPOSITORY, "gen": directory}), includes


def link_program(
    directory: Path,
    names: tuple[str, ...],
    tables: tuple[CompileJob, ...],
    layout: Layout,
    *,
    lto: bool = True,
    without: str = "",
    board_name: str = "mps2-an385",
    includes: tuple[Path, ...] = (PROGRAM,),
    alter: Alter = lambda _: None,
) -> LinkedImage:
    """Monitor, drivers and C of `program/`; with link-time optimisation, as in real images."""
    board = boards.load(board_name)
    toolchain, core = zig_toolchain(), CORES[board.core]
    roots, own = board_roots(board, directory)
    includes = (*own, *includes)
    every = of_image(board, (*monitor_sources(), *board.image_sources))
    sources = [s for s in every if s.name != without]
    sources += [PROGRAM / name for name in names]
    jobs = [
        altered(CompileJob(source, includes, flags=WARNINGS, lto=lto), alter, directory)
        for source in sources
    ]
    # Called by code that the compiler makes after optimisation, so never bitcode.
    jobs.append(CompileJob(RUNTIME / "boot/string.c", includes, flags=("-ffreestanding",)))
    jobs += [
        altered(replace(job, includes=includes, flags=WARNINGS), alter, directory) for job in tables
    ]
    objects = toolchain.compile(jobs, core, roots)
    if lto:
        native = toolchain.optimise(objects, core, KEEP)
        objects = (native, *objects[-1 - len(tables) :])
    return link_image(toolchain, objects, board, layout, 0, directory / "program.elf")


def altered(job: CompileJob, alter: Alter, directory: Path) -> CompileJob:
    """The job with its source changed, in a copy of its own; as it is if `alter` says None."""
    text = alter(job.source)
    if text is None:
        return job
    copy = directory / job.source.name
    copy.write_text(text, encoding="utf-8")
    # A change may leave something unused.
    return replace(job, source=copy, includes=(job.source.parent, *job.includes), flags=())


def build(
    directory: Path,
    board_name: str = "mps2-an385",
    *,
    lto: bool = True,
    service: str = "controller.c",
    alter: Alter = lambda _: None,
) -> Program:
    """The program of attacks and what starts it; `service` gives the orders."""
    board = boards.load(board_name)
    names = (
        "attacker.c",
        "enclaves.c",
        "attester_stand_in.c",
        "report.c",
        "orders.c",
        service,
    )
    tables = (CompileJob(PROGRAM / "tables.c"),)
    image = link_program(
        directory,
        names,
        tables,
        layout_on(board),
        lto=lto,
        without="attester.c",
        board_name=board_name,
        alter=alter,
    )
    if board.secure_world:
        trust = Trust.of([KEY.public_key()])
        boot = build_boot(board, trust, zig_toolchain(), find_tree(MBEDTLS), directory)
        return Program(board, image, boot.elf)
    return Program(board, image, stub(directory))


def writable_sections(directory: Path, board_name: str) -> set[str]:
    """The writable sections in the monitor's and the drivers' objects, each compiled alone."""
    board = boards.load(board_name)
    roots, includes = board_roots(board, directory)
    every = of_image(board, (*monitor_sources(), *board.image_sources))
    sources = [s for s in every if s.parent.name != "services"]
    jobs = [CompileJob(source, includes, flags=WARNINGS) for source in sources]
    found: set[str] = set()
    for path in zig_toolchain().compile(jobs, CORES[board.core], roots):
        with path.open("rb") as stream:
            for section in ELFFile(stream).iter_sections():
                if section["sh_flags"] & SH_FLAGS.SHF_WRITE and section["sh_size"]:
                    found.add(section.name)
    return found


def stub(directory: Path) -> Path:
    """The ELF that stands in for boot."""
    board, toolchain = boards.load("mps2-an385"), zig_toolchain()
    roots, includes = board_roots(board, directory)
    objects = toolchain.compile(
        [CompileJob(PROGRAM / "start_stub.c", includes)], CORES[board.core], roots
    )
    script = directory / "stub.ld"
    script.write_text(STUB_SCRIPT, encoding="utf-8")
    return toolchain.link(objects, script, directory / "stub.elf", CORES[board.core])


def handoff() -> bytes:
    """What boot would hand over, enough of it for SYS_IDENTITY (struct handoff)."""
    header = struct.pack("<IHHII4B", HANDOFF_MAGIC, 2, 0, 7, 3, 0, 0, 0, 0)
    identity = struct.pack("<B32xxH32x32s64x", 1, 0x1000, b"coffret/test")
    return (header + bytes(5 * 32) + identity).ljust(1024, b"\0")


@contextmanager
def running(program: Program, directory: Path, *extra: str) -> Iterator[Machine]:
    """The program on the emulator, from a fresh flash; `extra` are more of its arguments."""
    board = program.board
    flash = FlashFile.factory(board, directory / "nv.bin")
    if board.secure_world:
        content = ImageContent(Version.parse("1.0.0"), 3, b"\x11" * 32, b"\x22" * 32)
        flash.write_slot(0, wrap_image(program.image.body, 0, board, content, LocalSigner(KEY)))
        with Machine(board, program.stub, flash, (*COUNTED, *extra)) as machine:
            yield machine
        return
    flash.write_slot(0, b"\xff" * HEADER_SIZE + program.image.body)
    facts = directory / "handoff.bin"
    facts.write_bytes(handoff())
    loader = f"loader,file={facts},addr={board.memory.handoff.base:#x},force-raw=on"
    with Machine(board, program.stub, flash, ("-device", loader, *COUNTED, *extra)) as machine:
        yield machine


class Memory:
    """The emulated board's memory, read from outside over QMP (`arguments` go to the emulator)."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._socket = Path(tempfile.mkdtemp(prefix="coffret-qmp-")) / "qmp"
        self.arguments = ("-qmp", f"unix:{self._socket},server=on,wait=off")

    def read(self, base: int, size: int) -> bytes:
        """Physical memory, while the machine runs.

        Where there is a Secure world only that one's: its protection controllers let nothing else
        through to an observer whose world they do not know.
        """
        out = self._directory / "memory.bin"
        with socket.socket(socket.AF_UNIX) as link:
            link.connect(str(self._socket))
            with link.makefile("rw") as stream:
                stream.readline()  # the greeting
                arguments = {"val": base, "size": size, "filename": str(out)}
                commands = (
                    {"execute": "qmp_capabilities"},
                    {"execute": "pmemsave", "arguments": arguments},
                )
                for command in commands:
                    stream.write(json.dumps(command) + "\n")
                    stream.flush()
                    assert "return" in json.loads(stream.readline())
        return out.read_bytes()


def lines(machine: Machine, last: str, seconds: float) -> list[str]:
    """Lines from the management port up to the one that starts with `last`.

    AssertionError with what came, after `seconds`.
    """
    deadline = time.monotonic() + seconds
    found: list[str] = []
    while not found or not found[-1].startswith(last):
        found.append(machine.line(deadline - time.monotonic()))
    return found
