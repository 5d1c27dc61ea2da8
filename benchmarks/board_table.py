# SPDX-License-Identifier: Apache-2.0
"""`python -m benchmarks.board_table [--write]`: the table of `docs/boards.md`, measured.

Each board's row: what boot, hello and heart_diary need of it, and where it was run. Images count
without header and signature, whose length changes with the key.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import boards
from boards.model import Board

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "boards.md"
EXAMPLES = ("hello", "heart_diary")
_BEGIN = "<!-- made by python -m benchmarks.board_table --write -->"
_END = "<!-- end of what is made -->"
_HEAD = ("board", "core", "boot", *(f"{name}: flash / RAM" for name in EXAMPLES), "run on")
_PARTS = ("monitor", "vm", "bytecode", "tables")


def measured(board: Board, folder: Path) -> dict[str, Mapping[str, Any]]:
    """What `coffret inspect --json` says of each example."""
    found = {}
    for name in EXAMPLES:
        bundle = folder / f"{name}-{board.name}"
        _coffret("build", ROOT / "examples" / name, "--board", board.name, "-o", bundle)
        found[name] = json.loads(_coffret("inspect", bundle, "--json"))
    return found


def _coffret(*words: str | Path) -> str:
    command = [sys.executable, str(ROOT / "coffret.py"), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, words))}: {done.stderr}")
    return done.stdout


def row(board: Board, found: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    """The cells of one board; bytes."""
    name = board.core.replace("cortex_m", "Cortex-M").replace("plus", "+")
    core = f"{name}, {board.mpu.flavour.replace('pmsa', 'PMSA')}"
    used = []
    for facts in found.values():
        flash = sum(facts["sizes"][part] for part in _PARTS)
        ram = facts["ram"]["monitor"] + sum(facts["ram"]["enclaves"].values())
        used.append(f"{flash:,} / {ram:,}")
    boot = next(iter(found.values()))["sizes"]["boot"]
    return (f"`{board.name}`", core, f"{boot:,}", *used, board.run_on)


def made(rows: Iterable[Sequence[str]]) -> str:
    """The part of the page that is made: the table, then what nobody has shown of each board."""
    lines = [_BEGIN, "", _line(_HEAD), _line(["---"] * len(_HEAD)), *map(_line, rows), ""]
    lines += ["Bytes. Nobody has shown:", ""]
    for board in map(boards.load, boards.names()):
        lines.append(f"- `{board.name}`: {'; '.join(board.not_shown)}.")
    return "\n".join((*lines, "", _END))


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def rows_of(page: str) -> list[tuple[str, ...]]:
    """The rows of the table that a page has."""
    part = page.partition(_BEGIN)[2].partition(_END)[0]
    lines = [line for line in part.splitlines() if line.startswith("|")]
    return [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines[2:]]


def replaced(page: str, part: str) -> str:
    """The page with the made part in the old one's place."""
    before, begin, rest = page.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise SystemExit(f"{PAGE}: the marks of the made part are missing")
    return before + part + after


def main() -> None:
    """Prints the part of the page, or writes it there."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.board_table")
    parser.add_argument("--write", action="store_true", help=f"into {PAGE.relative_to(ROOT)}")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="coffret-boards-") as folder:
        known = map(boards.load, boards.names())
        part = made([row(board, measured(board, Path(folder))) for board in known])
    if arguments.write:
        PAGE.write_text(replaced(PAGE.read_text(encoding="utf-8"), part), encoding="utf-8")
    else:
        print(part)


if __name__ == "__main__":
    main()
