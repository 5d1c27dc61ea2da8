# SPDX-License-Identifier: Apache-2.0
"""Instructions from reset to the monitor."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

import boards
from benchmarks.counter import InstructionCounter
from benchmarks.measure import Measure
from benchmarks.workshop import BOARD, Workshop
from flasher.virtual import make_flash


def starts(workshop: Workshop) -> Iterator[Measure]:
    """At the first start, which checks the signature, and at the second, which checks a MAC."""
    board = boards.load(BOARD)
    bundle = workshop.example("hello")
    flash = workshop.folder / "starts.flash"
    image = bundle.path("slot_a").read_bytes()
    make_flash(board, flash, image)
    monitor = address(bundle.folder / "elf" / "slot_a.elf", "monitor_start")
    boot = bundle.path("boot")
    choose, hash_, compare, verify = (
        address(boot, name) for name in ("choose_slot", "sha256", "memory_compare", "p256_verify")
    )
    with InstructionCounter(board, boot, flash) as counter:
        counter.run_to(choose)  # before it, boot hashes itself
        hashing = -counter.run_to(hash_) + counter.run_to(compare)  # the digest is compared next
        checking = -counter.run_to(verify) + counter.run_to(compare)  # it ends in a comparison
        first = counter.run_to(monitor)
    with InstructionCounter(board, boot, flash) as counter:
        second = counter.run_to(monitor)
    yield Measure.beside("second start", second, "instructions", "first start", first)
    yield Measure.beside("second start", second, "instructions", "image bytes", len(image))
    once = "hashing the image once"
    yield Measure.beside("second start", second, "instructions", once, hashing)
    once = "hashing and one signature check"
    yield Measure.beside("first start", first, "instructions", once, hashing + checking)


def address(elf: Path, symbol: str) -> int:
    """Where a function begins."""
    with elf.open("rb") as file:
        table = ELFFile(file).get_section_by_name(".symtab")
        assert isinstance(table, SymbolTableSection)
        found = table.get_symbol_by_name(symbol) or []
        assert len(found) == 1, f"{symbol} is not one symbol of {elf}"
        return int(found[0]["st_value"])
