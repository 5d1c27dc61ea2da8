# SPDX-License-Identifier: Apache-2.0
"""The linker script of an image, one per board and slot, and the link itself.

Code executes in place, 0x200 bytes (MCUboot's header) into the slot. In RAM, from its base: the
main stack (an overflow leaves the RAM) and the monitor's variables; then the window, and what the
plan placed by absolute address.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import Section, SymbolTableSection

from boards.errors import USAGE, CoffretError
from boards.memory import Region
from boards.model import Board
from firmware.compiler.toolchain import CORES, Toolchain
from firmware.planning.memory import WINDOW_GRAIN

HEADER_SIZE = 0x200
RUNTIME = Path(__file__).parents[1] / "runtime"
# What makes the token, beside the attestation key.
ATTESTATION = ("attest_local.c", "token.c")
# What link-time optimisation must keep although only assembly or the hardware names it, the root
# first. (What tables.c names is kept by passing its object to the optimiser too.)
KEEP = ("core_vectors", "core_dispatch", "core_current", "monitor_call", "monitor_panic")

_ERASED = b"\xff"


class LinkError(CoffretError):
    """The linked image does not fit what the plan gave it."""

    def __init__(self, message: str, mend: str) -> None:
        super().__init__(message, mend, USAGE)


@dataclass(frozen=True, slots=True)
class Statics:
    """Where the variables in sections `.NAME.*` of a service go."""

    name: str
    region: Region


@dataclass(frozen=True, slots=True)
class Layout:
    """What the plan decided about memory, as far as the linker must know; addresses and bytes."""

    monitor: Region  # from the base of RAM: main stack, then the monitor's variables
    main_stack: int
    window: Region
    statics: tuple[Statics, ...] = ()


@dataclass(frozen=True, slots=True)
class LinkedImage:
    """An image before its header and signature are added."""

    elf: Path
    body: bytes = field(repr=False)  # from the vector table on; goes to slot base + HEADER_SIZE
    monitor_bytes: int  # RAM: main stack and variables
    window_bytes: int
    linker_map: str = field(repr=False)  # which object each piece came from, by its path here


def monitor_sources() -> tuple[Path, ...]:
    """The C files of monitor, record store and attester, in a fixed order.

    With the board's `image_sources`, the VM, the manager and tables.c they make an image
    (see `of_image`).
    """
    folders = (RUNTIME / "monitor", RUNTIME / "store")
    found = tuple(path for folder in folders for path in sorted(folder.glob("*.c")))
    attester = (RUNTIME / "services" / name for name in ("attester.c", *ATTESTATION))
    return (*found, RUNTIME / "cbor" / "writer.c", *attester)


def of_image(board: Board, sources: Iterable[Path]) -> tuple[Path, ...]:
    """`sources` less those whose work a Secure world does, which the image reaches by gateways."""
    theirs = {RUNTIME / "store" / "store.c", *(RUNTIME / "services" / name for name in ATTESTATION)}
    return tuple(path for path in sources if not (board.secure_world and path in theirs))


def linker_script(board: Board, layout: Layout, slot: int) -> str:
    """The script for one slot. A pure function of its arguments."""
    place = board.slot(slot)
    return "\n".join(
        (
            "/* Made by firmware/compiler/link.py. */",
            "ENTRY(core_reset)",
            f"__handoff = {board.memory.handoff.base:#x};",
            "SECTIONS {",
            f"  __image_start = {place.base + HEADER_SIZE:#x};",
            "  .vectors __image_start : { KEEP(*(.vectors)) }",
            "  .text : { *(.text .text.*) }",
            # The audit reads every table back, those too that no code names.
            "  .rodata : { KEEP(*(.rodata.coffret_*)) *(.rodata .rodata.*) }",
            "  __image_end = .;",
            *_monitor(layout),
            *_window(layout),
            *(line for statics in layout.statics for line in _statics(statics)),
            # Nothing copies initial values to RAM: what lands here is refused by `link_image`.
            "  .data : { *(.data .data.*) }",
            "  /DISCARD/ : { *(.ARM.exidx .ARM.exidx.*) *(.comment) *(.note.*) }",
            "}",
            "",
        )
    )


def _monitor(layout: Layout) -> tuple[str, ...]:
    return (
        f"  .monitor {layout.monitor.base:#x} (NOLOAD) : {{",
        f"    . += {layout.main_stack:#x};",
        "    __main_stack_top = .;",
        "    __monitor_start = .;",
        "    *(.monitor.*)",
        "    . = ALIGN(8);",
        "    __monitor_end = .;",
        "  }",
    )


def _window(layout: Layout) -> tuple[str, ...]:
    return (
        f"  .window {layout.window.base:#x} (NOLOAD) : {{",
        "    __window_start = .;",
        "    *(.bss .bss.* COMMON)",
        f"    . = MAX(ALIGN({WINDOW_GRAIN}), __window_start + {WINDOW_GRAIN});",
        "    __window_end = .;",
        "  }",
    )


def _statics(statics: Statics) -> tuple[str, ...]:
    name = statics.name
    return (f"  .{name} {statics.region.base:#x} (NOLOAD) : {{ *(.{name}.*) }}",)


def link_image(
    toolchain: Toolchain,
    objects: Sequence[Path],
    board: Board,
    layout: Layout,
    slot: int,
    out: Path,
) -> LinkedImage:
    """Links `objects` for one slot to the ELF `out`.

    Raises LinkError when the code does not fit the slot, variables do not fit the layout, or a
    variable has an initial value; ToolchainError when the linker itself refuses.
    """
    with tempfile.TemporaryDirectory() as directory:
        script = Path(directory) / "image.ld"
        script.write_text(linker_script(board, layout, slot), encoding="utf-8")
        listing = Path(directory) / "image.map"
        toolchain.link(objects, script, out, CORES[board.core], map_file=listing)
        linker_map = listing.read_text(encoding="utf-8")
    place = board.slot(slot)
    with out.open("rb") as stream:
        elf = ELFFile(stream)
        _refuse_data(elf)
        _refuse_overflow(elf, layout)
        body = _body(elf, Region(base=place.base + HEADER_SIZE, size=place.size - HEADER_SIZE))
        sizes = _size(elf, ".monitor"), _size(elf, ".window")
        return LinkedImage(out, body, *sizes, linker_map)


def _section(elf: ELFFile, name: str) -> Section | None:
    section = elf.get_section_by_name(name)
    return section if isinstance(section, Section) else None


def _size(elf: ELFFile, name: str) -> int:
    section = _section(elf, name)
    return 0 if section is None else int(section["sh_size"])


def _symbols_of(elf: ELFFile, name: str) -> list[str]:
    """Names of the variables in a section, the largest first."""
    index = elf.get_section_index(name)
    table = elf.get_section_by_name(".symtab")
    if index is None or not isinstance(table, SymbolTableSection):
        return []
    found = [
        (int(symbol["st_size"]), symbol.name)
        for symbol in table.iter_symbols()
        if symbol["st_shndx"] == index and symbol["st_size"]
    ]
    return [f"{variable} ({size} B)" for size, variable in sorted(found, reverse=True)]


def _refuse_data(elf: ELFFile) -> None:
    if _size(elf, ".data"):
        names = ", ".join(_symbols_of(elf, ".data")) or "unnamed"
        raise LinkError(
            f"variables with initial values: {names}",
            "make them const, or set them when their user starts: no code copies .data to RAM",
        )


def _refuse_overflow(elf: ELFFile, layout: Layout) -> None:
    areas = [
        (".monitor", "memory.monitor", layout.monitor),
        (".window", "memory.window", layout.window),
    ]
    areas += [
        (f".{statics.name}", f"memory.{statics.name}", statics.region) for statics in layout.statics
    ]
    for section, key, region in areas:
        if (need := _size(elf, section)) > region.size:
            largest = ", ".join(_symbols_of(elf, section)[:3])
            raise LinkError(
                f"{key}: {need} bytes of variables do not fit {region.size}, the largest {largest}",
                f"give {key} at least {need} bytes in the plan",
            )


def _body(elf: ELFFile, place: Region) -> bytes:
    """The bytes in flash, gaps filled as erased flash. Raises LinkError if they leave the slot."""
    parts = [
        (int(section["sh_addr"]), section.data())
        for section in elf.iter_sections()
        if section["sh_flags"] & SH_FLAGS.SHF_ALLOC
        and section["sh_type"] != "SHT_NOBITS"
        and section["sh_size"]
    ]
    end = max(address + len(data) for address, data in parts)
    if min(address for address, _ in parts) < place.base or end > place.end:
        raise LinkError(
            f"{end - place.base} bytes of code and constants do not fit the slot's {place.size}",
            "use fewer modules or features (`coffret build --explain`)",
        )
    body = bytearray(_ERASED * (end - place.base))
    for address, data in parts:
        body[address - place.base : address - place.base + len(data)] = data
    return bytes(body)
