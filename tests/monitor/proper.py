# SPDX-License-Identifier: Apache-2.0
"""The monitor proper: what runs privileged in every image but the board's drivers.

Scheduler, channels, gates, workers, faults, log, record store and the core's port; not the drivers,
whose size is the board's, and not the services, which run unprivileged.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile

import boards
from boards.model import Board
from firmware.compiler.link import KEEP, RUNTIME, monitor_sources, of_image
from firmware.compiler.toolchain import CORES, CompileJob, zig_toolchain
from firmware.planning.monitor_features import HEADER, Feature, constants, image_config
from tests.monitor.rig import WARNINGS, board_roots

BOARDS = Path(boards.__file__).parent
# What Hubris declares for its kernel on a Cortex-M0+, bytes.
HUBRIS_FLASH, HUBRIS_RAM = 11_344, 1_304


@dataclass(frozen=True, slots=True)
class Size:
    """Bytes. `variables`: without stack, log, queues and what each task, channel or gate has."""

    flash: int
    variables: int


def sources(board: Board, *, drivers: bool = False) -> tuple[Path, ...]:
    """Its C, in the order of a build; with the board's drivers if they are asked for."""
    every = of_image(board, (*monitor_sources(), *board.image_sources))
    if drivers:
        return tuple(path for path in every if path.parent.name not in ("services", "cbor"))
    folders = (RUNTIME / "monitor", RUNTIME / "store", BOARDS / "cores")
    return tuple(path for path in every if any(path.is_relative_to(f) for f in folders))


def compile_proper(
    board: Board,
    directory: Path,
    features: Collection[Feature],
    flags: tuple[str, ...] = (),
    *,
    drivers: bool = False,
) -> Path:
    """It alone as one optimised object; `flags` are the linker's."""
    (directory / HEADER).write_text(image_config(constants(features)), encoding="utf-8")
    roots, includes = board_roots(board, directory)
    jobs = [
        CompileJob(path, includes, flags=WARNINGS, lto=True)
        for path in sources(board, drivers=drivers)
    ]
    toolchain, core = zig_toolchain(), CORES[board.core]
    objects = toolchain.compile(jobs, core, roots)
    return toolchain.optimise(objects, core, KEEP, flags)


def size_of(path: Path) -> Size:
    """Of an object: code and constants, and variables."""
    flash = variables = 0
    with path.open("rb") as stream:
        for section in ELFFile(stream).iter_sections():
            if not section["sh_flags"] & SH_FLAGS.SHF_ALLOC or ".ARM.exidx" in section.name:
                continue
            if section["sh_flags"] & SH_FLAGS.SHF_WRITE:
                variables += section["sh_size"]
            else:
                flash += section["sh_size"]
    return Size(flash, variables)
