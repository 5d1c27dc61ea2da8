# SPDX-License-Identifier: Apache-2.0
"""Where the bytes of an image are: part, then module or source file, then symbol.

Read from the symbols of a linked slot. Of the virtual machine and the monitor it is told by the
name of a function or a constant which source file defines it; what no source names (code that the
compiler shared between functions, its run-time library) is a group of its own. What is no symbol
(strings, alignment) is the rest, so that the tree adds up to the image's body.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from boards.model import Board
from firmware.bundle.sizes import BYTECODE, MONITOR, PARTS, TABLES, VM
from firmware.compiler.link import RUNTIME
from firmware.compiler.sources import Trees

# What tools/mpy-tool.py puts before a module's name.
_FROZEN = re.compile(
    r"(?:fun_data|raw_code|proto_fun|children|frozen_module|const_obj|const_obj_table_data"
    r"|const_qstr_table_data)_(?P<of>\w+)"
)
_SHARED = (BYTECODE, "shared by the modules")
_BY_PREFIX = {
    "mp_frozen_": _SHARED,
    "mp_qstr_frozen_": _SHARED,
    "coffret_": (TABLES, "tables"),
    "OUTLINED_FUNCTION_": (VM, "code shared between functions"),
    "__": (VM, "compiler's run time"),
}
_DEFINITION = re.compile(
    r"\bMP_DEFINE_EXCEPTION\(\s*(?P<exception>\w+)"
    r"|\bMP_\w*DEFINE_\w+\(\s*(?P<defined>\w+)"
    r"|\bMICROPY_WRAP_\w+\(\s*(?P<wrapped>\w+)"
    r"|^(?!(?:return|else|typedef|extern)\b|[^\n(]*(?:DEFINE|MICROPY_WRAP)_)"
    r"[A-Za-z_][\w \t*,()]*?\b(?P<function>\w+)\s*\([^;]*$"
    r"|^[\w \t*]*?\b(?P<data>\w+)(?:\[[^\]]*\])*\s*=\s*[{\"\w]",
    re.MULTILINE,
)
_OTHER_PROCESSORS = re.compile(r"py/(asm|emit|nlr(?!\.|thumb))")
_MONITOR = ("monitor", "services", "smp", "store", "cbor", "libc")  # below firmware/runtime


@dataclass(frozen=True, slots=True)
class Group:
    """A module, a source file, or a kind of what is left. `symbols`: bytes by name."""

    part: str
    name: str
    symbols: Mapping[str, int]

    @property
    def size(self) -> int:
        """In bytes."""
        return sum(self.symbols.values())


def size_tree(
    elf: Path, sizes: Mapping[str, int], modules: Iterable[str], sources: Mapping[str, Path]
) -> tuple[Group, ...]:
    """The groups of an image, the largest of each part first.

    `sizes`: bytes of each part, as `part_sizes` counted them. `modules`: import names of what is
    frozen. `sources`: directories of C by label; those labelled `micropython` and `vm` are the
    virtual machine's.
    """
    index = dict(_definitions(sources))
    frozen = sorted(modules, key=len, reverse=True)
    found: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    for name, size in _symbols(elf):
        plain = name.partition(".")[0]
        found[_group(plain, index, frozen)][name] = size
    groups = [Group(part, name, symbols) for (part, name), symbols in found.items()]
    for part in PARTS:
        rest = sizes[part] - sum(group.size for group in groups if group.part == part)
        if rest > 0:
            groups.append(Group(part, "strings and alignment", {"": rest}))
    order = {part: number for number, part in enumerate(PARTS)}
    return tuple(sorted(groups, key=lambda g: (order[g.part], -g.size, g.name)))


def sources_of(board: Board, trees: Trees) -> Mapping[str, Path]:
    """The directories of C that an image for a board is made of, by label."""
    own = {name: RUNTIME / name for name in ("vm", *_MONITOR)}
    drivers = {f"boards/{path.name}": path for path in board.include_directories}
    return {"micropython": trees.micropython.path, **own, **drivers}


def table(groups: Sequence[Group], owners: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Lines for a person. `owners`: the enclaves that have a module."""
    for part in PARTS:
        mine = [group for group in groups if group.part == part]
        yield f"{sum(group.size for group in mine):>8,}  {part}"
        for group in mine:
            who = owners.get(group.name, ()) if part == BYTECODE else ()
            yield f"{group.size:>10,}  {group.name}" + (f" ({', '.join(who)})" if who else "")


def _symbols(elf: Path) -> Iterator[tuple[str, int]]:
    """Names and bytes of what is in the image; of two names for one address the first."""
    with elf.open("rb") as stream:
        file = ELFFile(stream)
        flash = [s["sh_addr"] for s in file.iter_sections() if s["sh_type"] == "SHT_PROGBITS"]
        lowest = min(address for address in flash if address)
        symbols = file.get_section_by_name(".symtab")
        assert isinstance(symbols, SymbolTableSection)
        seen: set[int] = set()
        for symbol in symbols.iter_symbols():
            address = symbol["st_value"] & ~1
            section = symbol["st_shndx"]
            if not symbol["st_size"] or not isinstance(section, int) or address in seen:
                continue
            header = file.get_section(section)
            if header["sh_type"] == "SHT_PROGBITS" and header["sh_addr"] >= lowest:
                seen.add(address)
                yield symbol.name, symbol["st_size"]


def _group(
    name: str, index: Mapping[str, tuple[str, str]], modules: Sequence[str]
) -> tuple[str, str]:
    if match := _FROZEN.match(name):
        # "coach_main": a function of the module coach.
        of = match["of"]
        for module in modules:
            plain = module.replace(".", "_")
            if of == plain or of.startswith(f"{plain}_"):
                return BYTECODE, module
        return _SHARED
    for prefix, group in _BY_PREFIX.items():
        if name.startswith(prefix):
            return group
    if found := index.get(name) or index.get(name.removesuffix("_obj")):
        return found
    return VM, "other"


def _definitions(sources: Mapping[str, Path]) -> Iterator[tuple[str, tuple[str, str]]]:
    """Each function or constant that C defines, its part and its file; the last is right."""
    wrapped = []  # MicroPython's own, whoever wraps it
    for label, root in sources.items():
        part = VM if label in ("micropython", "vm") else MONITOR
        # Sources last: what they define stands in headers too, declared.
        for path in sorted(root.rglob("*.[ch]"), key=lambda path: (path.suffix == ".c", path)):
            where = f"{label}/{path.relative_to(root).as_posix()}".removeprefix("micropython/")
            if _OTHER_PROCESSORS.match(where):
                continue
            for match in _DEFINITION.finditer(path.read_text(errors="replace")):
                if name := match["function"] or match["data"] or match["defined"]:
                    yield name, (part, where)
                elif name := match["wrapped"]:
                    wrapped.append((name, (part, where)))
                else:
                    yield f"mp_type_{match['exception']}", (part, where)
    yield from wrapped
