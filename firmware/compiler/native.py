# SPDX-License-Identifier: Apache-2.0
"""The image's own C beside the VM: monitor, drivers, services and, per slot, the tables."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from boards.config_header import config_header
from boards.model import ROOT as BOARDS
from boards.model import Board
from firmware.compiler.link import KEEP, RUNTIME, Layout, Statics, monitor_sources, of_image
from firmware.compiler.object_cache import Roots, digest_of, write_atomically, write_if_new
from firmware.compiler.toolchain import CORES, CompileJob, Toolchain
from firmware.planning.monitor_features import HEADER, image_config
from firmware.planning.plan import Kind, Plan

_WARNINGS = ("-Wall", "-Wextra", "-Werror")
_SOURCE_SUFFIXES = frozenset((".c", ".h", ".S", ".ld"))
# The tables name these tasks' entries, and are not part of link-time optimisation.
_SERVICES = ("manager_main", "attester_main")


# Boot has the same sources and never this: delta updates, firmware/runtime/smp/delta.h.
DELTAS = "SMP_DELTA"


def native_sources(board: Board) -> tuple[Path, ...]:
    """Every C file of an image but the VM's and the tables, in a fixed order."""
    folders = (RUNTIME / "services", RUNTIME / "smp", RUNTIME / "cbor")
    services = [path for folder in folders for path in sorted(folder.glob("*.c"))]
    # Some files serve both the monitor and the services: each is compiled once.
    every = dict.fromkeys((*monitor_sources(), *board.image_sources, *services))
    return of_image(board, every)


def layout_of(plan: Plan) -> Layout:
    """What the linker must know of the plan."""
    statics = tuple(
        Statics(task.name, task.statics)
        for task in plan.tasks
        if task.kind is Kind.SERVICE and task.statics is not None
    )
    return Layout(plan.monitor, plan.main_stack, plan.window, statics)


def compile_native(
    board: Board,
    toolchain: Toolchain,
    work: Path,
    constants: Mapping[str, str],
    *,
    deltas: bool = False,
) -> Path:
    """Monitor, drivers and services as one object, a function of the board and our C.

    `constants`: what of the monitor is in the image (`firmware.planning.monitor_features`).
    `deltas`: the manager takes updates as the difference to what runs.
    """
    write_if_new(work / HEADER, image_config(constants).encode())
    defines = (DELTAS,) * deltas
    jobs = [
        _job(board, source, work, lto=True, defines=defines) for source in native_sources(board)
    ]
    objects = toolchain.compile(jobs, CORES[board.core], _roots(work))
    return toolchain.optimise(objects, CORES[board.core], (*KEEP, *_SERVICES))


def compile_tables(board: Board, text: str, slot: int, toolchain: Toolchain, work: Path) -> Path:
    """The tables of one slot (`tables_c`) as an object, not optimised across files."""
    source = work / f"tables_{'ab'[slot]}.c"
    write_atomically(source, text.encode())
    job = _job(board, source, work, lto=False)
    return toolchain.compile([job], CORES[board.core], _roots(work))[0]


def runtime_digest(board: Board, micropython: str, switches: Mapping[str, str]) -> bytes:
    """SHA-256 over the MicroPython tree's identity, our C and the switches of both: 32 bytes.

    What a device runs beside its appliance's code and policy; the same on every host.
    """
    parts: list[str | bytes] = ["runtime-2", micropython]
    for label, path in _runtime_files(board):
        parts += [label, hashlib.sha256(path.read_bytes()).digest()]
    parts += [f"{name}={value}" for name, value in sorted(switches.items())]
    return bytes.fromhex(digest_of(parts))


def _runtime_files(board: Board) -> Iterator[tuple[str, Path]]:
    folders = {"runtime": RUNTIME, f"boards/{board.name}": board.directory}
    for directory in board.include_directories:
        folders[f"boards/{directory.relative_to(BOARDS).as_posix()}"] = directory
    for label, folder in sorted(folders.items()):
        for path in sorted(folder.rglob("*")):
            if path.suffix in _SOURCE_SUFFIXES or path.name == "board.toml":
                yield f"{label}/{path.relative_to(folder).as_posix()}", path


def _job(
    board: Board, source: Path, work: Path, *, lto: bool, defines: tuple[str, ...] = ()
) -> CompileJob:
    write_if_new(work / "board_config.h", config_header(board).encode())
    includes = (
        work,
        RUNTIME,
        RUNTIME / "include",
        RUNTIME / "monitor",
        RUNTIME / "libc",
        *board.include_directories,
    )
    return CompileJob(source, includes, defines=defines, flags=_WARNINGS, lto=lto)


def _roots(work: Path) -> Roots:
    return Roots({"runtime": RUNTIME, "boards": BOARDS, "made": work})
