# SPDX-License-Identifier: Apache-2.0
"""`./dev bench`: builds the examples with a key of the moment, measures, prints.

`--json` prints a list of `{"name", "value", "unit", "against", "ratio"}`.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

import boards
from benchmarks.counter import InstructionCounter
from benchmarks.measure import Measure
from firmware.build import Means, build
from firmware.bundle import Bundle
from firmware.cli import signed_reference_values
from firmware.image import LocalSigner
from firmware.manifest import load
from firmware.sources import find_trees
from firmware.toolchain import zig_toolchain
from flasher.virtual import make_flash

BOARD = "mps2-an385"
EXAMPLES = Path(__file__).parents[1] / "examples"


def bundle(example: str, folder: Path, key: ec.EllipticCurvePrivateKey) -> Bundle:
    """An example, built into `folder`."""
    means = Means(
        toolchain=zig_toolchain(None),
        trees=find_trees(),
        signer=LocalSigner(key),
        endorse=lambda facts: signed_reference_values(facts, key),
        work=folder / "work",
        say=lambda line: print(line, file=sys.stderr),
    )
    return build(load(EXAMPLES / example), boards.load(BOARD), folder / example, means)


def sizes(hello: Bundle, diary: Bundle) -> Iterator[Measure]:
    """Bytes of flash, each part of heart_diary beside the same part of hello."""
    small, large = (each.facts.sizes.model_dump() for each in (hello, diary))
    for part in ("boot", "monitor", "vm", "bytecode", "tables", "image"):
        name = f"size of {part}, heart_diary"
        yield Measure.beside(name, large[part], "bytes", "hello", small[part])


def address(elf: Path, symbol: str) -> int:
    """Where a function begins."""
    with elf.open("rb") as file:
        table = ELFFile(file).get_section_by_name(".symtab")
        assert isinstance(table, SymbolTableSection)
        found = table.get_symbol_by_name(symbol) or []
        assert len(found) == 1, f"{symbol} is not one symbol of {elf}"
        return int(found[0]["st_value"])


def starts(of: Bundle, folder: Path) -> Iterator[Measure]:
    """Instructions from reset to the monitor, at the first start and at the second."""
    board = boards.load(BOARD)
    flash = folder / "flash"
    image = of.path("slot_a").read_bytes()
    make_flash(board, flash, image)
    monitor = address(of.folder / "elf" / "slot_a.elf", "monitor_start")
    counts = []
    for _ in range(2):
        with InstructionCounter(board, of.path("boot"), flash) as counter:
            counts.append(counter.run_to(monitor))
    first, second = counts
    yield Measure.beside("second start", second, "instructions", "first start", first)
    yield Measure.beside("second start", second, "instructions", "image bytes", len(image))


def main() -> None:
    """Runs every benchmark."""
    parser = argparse.ArgumentParser(prog="./dev bench")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="coffret-bench-") as name:
        folder = Path(name)
        key = ec.generate_private_key(ec.SECP256R1())
        hello, diary = (bundle(each, folder, key) for each in ("hello", "heart_diary"))
        measures = [*sizes(hello, diary), *starts(hello, folder)]
    if arguments.json:
        print(json.dumps([asdict(measure) for measure in measures], indent=2))
        return
    for each in measures:
        print(f"{each.name:<28}{each.value:>14,} {each.unit:<13}{each.ratio:>9} x {each.against}")


main()
