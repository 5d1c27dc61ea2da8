# SPDX-License-Identifier: Apache-2.0
"""Bytes of flash and of memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import boards
from benchmarks.measure import Measure
from benchmarks.stock_port import build_stock_port
from benchmarks.workshop import BOARD, Workshop
from firmware.monitor_features import EVERYTHING, LOG_BYTES, Feature
from tests.monitor.proper import HUBRIS_FLASH, HUBRIS_RAM, compile_proper, size_of

_PARTS = ("boot", "monitor", "vm", "bytecode", "tables", "image")


def sizes(workshop: Workshop) -> Iterator[Measure]:
    """Each part of heart_diary beside the same part of hello, and both beside MicroPython's own
    port to QEMU, built from the same sources by the same compiler.
    """
    stock = build_stock_port(workshop.means().toolchain, workshop.folder / "stock").size
    facts = {name: workshop.example(name).facts for name in ("hello", "heart_diary")}
    small, large = (each.sizes.model_dump() for each in facts.values())
    for part in _PARTS:
        name = f"size of {part}, heart_diary"
        yield Measure.beside(name, large[part], "bytes", "hello", small[part])
    for name, each in facts.items():
        image = each.sizes.image
        yield Measure.beside(f"size of image, {name}", image, "bytes", "stock port", stock)
        both = each.sizes.monitor + each.sizes.vm
        yield Measure.beside(f"size of monitor + vm, {name}", both, "bytes", "stock port", stock)
    ram = facts["hello"].ram
    (enclave,) = ram.enclaves.values()
    yield Measure.beside("memory of the monitor", ram.monitor, "bytes", "hello's", enclave)
    yield from _monitor_proper(workshop.folder / "proper")


def _monitor_proper(folder: Path) -> Iterator[Measure]:
    """Without drivers and services; what Hubris declares for its kernel on a Cortex-M0+."""
    board = boards.load(BOARD)
    folder.mkdir()
    for name, features in {
        "monitor with everything": EVERYTHING - {Feature.DEVICES},
        "monitor, hello": frozenset[Feature](),
    }.items():
        size = size_of(compile_proper(board, folder, features))
        yield Measure.beside(
            f"flash of {name}", size.flash, "bytes", "Hubris' kernel", HUBRIS_FLASH
        )
        memory = size.variables - LOG_BYTES + board.memory.main_stack
        against = "Hubris' kernel"
        yield Measure.beside(f"memory of {name}", memory, "bytes", against, HUBRIS_RAM)
