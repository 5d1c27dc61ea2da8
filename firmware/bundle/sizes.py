# SPDX-License-Identifier: Apache-2.0
"""Which part of an image every byte belongs to, read from the linker's map.

Link-time optimisation runs over the VM and over the monitor separately, so that at the last link
each is one object and the map tells them apart. Within the VM's object the frozen modules are known
by the names that mpy-tool gives their constants. compiler-rt (64-bit division, soft floats) counts
as the VM's, whose arithmetic it is; alignment counts to what stands before it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

MONITOR, VM, BYTECODE, TABLES = "monitor", "vm", "bytecode", "tables"
PARTS = (MONITOR, VM, BYTECODE, TABLES)

# "21000200 21000200 40 1  /path/file.o:(.text.name)", also "/path/lib.a(member.o):(.text)".
_INPUT = re.compile(
    r"^\s*(?P<address>[0-9a-f]+)\s+[0-9a-f]+\s+(?P<size>[0-9a-f]+)\s+\d+\s{2,}"
    r"(?P<file><internal>|\S.*?)(?:\([^()]*\))?:\((?P<section>[^()]*)\)$"
)
# Names in the output of tools/mpy-tool.py.
_FROZEN = re.compile(
    r"\.(rodata|text)\.(cst\d+\.)?(fun_data|raw_code|proto_fun|const_obj|const_qstr|const_table"
    r"|children|frozen|mp_frozen|mp_qstr_frozen|machine_code)"
)


class MapError(ValueError):
    """The map is not one of lld, or does not cover the image."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One input section as placed; bytes."""

    address: int
    size: int
    file: str
    section: str


def pieces(text: str) -> tuple[Piece, ...]:
    """The input sections of an lld map that take room, by address."""
    found = [
        Piece(int(match["address"], 16), int(match["size"], 16), match["file"], match["section"])
        for match in map(_INPUT.match, text.splitlines())
        if match is not None
    ]
    return tuple(sorted((p for p in found if p.size), key=lambda p: p.address))


def part_sizes(text: str, origins: Mapping[Path, str], base: int, size: int) -> dict[str, int]:
    """Bytes of each part in `size` bytes from `base` on; they add up to `size`.

    `origins` says which part an object file belongs to; what it does not name is the VM's. Raises
    MapError when nothing of the map lies there.
    """
    placed = [piece for piece in pieces(text) if base <= piece.address < base + size]
    if not placed:
        raise MapError("the linker's map has nothing of the image")
    by_name = {str(path): part for path, part in origins.items()}
    totals = dict.fromkeys(PARTS, 0)
    ends = [piece.address for piece in placed[1:]] + [base + size]
    starts = [base] + [piece.address for piece in placed[1:]]
    for piece, start, end in zip(placed, starts, ends, strict=True):
        totals[_part(piece, by_name)] += end - start
    return totals


def _part(piece: Piece, by_name: Mapping[str, str]) -> str:
    part = by_name.get(piece.file, VM)
    return BYTECODE if part == VM and _FROZEN.match(piece.section) else part
