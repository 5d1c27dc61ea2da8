# SPDX-License-Identifier: Apache-2.0
"""The most stack that compiled C can use: every function's frame along the deepest way down.

The compiler says each frame (`.stack_sizes`), the relocations who names whom. A function that calls
through a register may call whomever it names.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection
from elftools.elf.sections import Symbol, SymbolTableSection

FLAGS = ("-mllvm", "-stack-size-section")  # of the linker that optimises

# Arm IHI 0044, section 4.6.1.5: R_ARM_THM_CALL, JUMP24, JUMP19; anything else is an address.
_BRANCHES = frozenset((10, 30, 51))
# What is called in an object of the run-time library, in aeabi.S or in the part's ROM is not in
# this object. The deepest of them is the division of 64 bits.
OUTSIDE = 96
# The tables, and what the linker script names.
_DATA = ("coffret_", "__handoff", "__image_", "__main_stack_", "__monitor_", "__window_")
# A call of code shared between functions may be wrapped in a push of the link register.
_SHARED, _LINK = "OUTLINED_FUNCTION_", 8


class RecursionFoundError(Exception):
    """A function calls itself in the end: no bound."""


@dataclass(frozen=True, slots=True)
class Deepest:
    """Bytes, and who calls whom on the way there."""

    size: int
    way: tuple[str, ...]


class StackBound:
    """The frames and the calls of one object."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as stream:
            elf = ELFFile(stream)
            table = elf.get_section_by_name(".symtab")
            assert isinstance(table, SymbolTableSection)
            self._symbols: list[Symbol] = list(table.iter_symbols())
            self._functions: Mapping[int, list[str]] = self._by_section()
            self.frames = dict(self._frames(elf))
            self.calls = self._calls(elf)
        self._known: dict[str, Deepest] = {}
        self.outside: set[str] = set()

    def deepest(self, function: str, above: tuple[str, ...] = ()) -> Deepest:
        """From the function's first instruction on."""
        if function in above:
            raise RecursionFoundError(" -> ".join((*above, function)))
        if function not in self.frames:
            self.outside.add(function)
            return Deepest(OUTSIDE, (function,))
        if function not in self._known:
            below = [self._call(callee, (*above, function)) for callee in self.calls[function]]
            most = max(below, key=lambda each: each.size, default=Deepest(0, ()))
            frame = self.frames[function]
            self._known[function] = Deepest(frame + most.size, (f"{function} {frame}", *most.way))
        return self._known[function]

    def _call(self, callee: str, above: tuple[str, ...]) -> Deepest:
        found = self.deepest(callee, above)
        return Deepest(found.size + _LINK * callee.startswith(_SHARED), found.way)

    def _by_section(self) -> Mapping[int, list[str]]:
        found = defaultdict(list)
        for symbol in self._symbols:
            if symbol["st_info"]["type"] == "STT_FUNC":
                found[symbol["st_shndx"]].append(symbol.name)
        return found

    def _frames(self, elf: ELFFile) -> Iterator[tuple[str, int]]:
        for section in elf.iter_sections():
            if section.name == ".stack_sizes":
                size = _leb128(section.data()[4:])  # behind the function's address
                for name in self._functions[section["sh_link"]]:
                    yield name, size

    def _calls(self, elf: ELFFile) -> Mapping[str, set[str]]:
        found: dict[str, set[str]] = defaultdict(set)
        for section in elf.iter_sections():
            if not isinstance(section, RelocationSection):
                continue
            code = elf.get_section(section["sh_info"])
            if not code.name.startswith(".text"):
                continue
            named = {
                name
                for relocation in section.iter_relocations()
                if relocation["r_info_type"] in _BRANCHES or _calls_by_register(code.data())
                for name in self._named(self._symbols[relocation["r_info_sym"]])
            }
            for caller in self._functions[section["sh_info"]]:
                found[caller] |= named
        return found

    def _named(self, symbol: Symbol) -> list[str]:
        if symbol["st_info"]["type"] == "STT_SECTION":
            return self._functions.get(symbol["st_shndx"], [])
        elsewhere = symbol["st_shndx"] == "SHN_UNDEF" and not symbol.name.startswith(_DATA)
        is_code = symbol["st_info"]["type"] == "STT_FUNC" or elsewhere
        return [symbol.name] if is_code and symbol.name else []


def _leb128(data: bytes) -> int:
    value = 0
    for position, byte in enumerate(data):
        value |= (byte & 0x7F) << 7 * position
        if not byte & 0x80:
            break
    return value


def _calls_by_register(code: bytes) -> bool:
    """Has a BLX of a register, Arm DDI 0403 section A7.7.19."""
    words = (int.from_bytes(code[at : at + 2], "little") for at in range(0, len(code) - 1, 2))
    return any(word & 0xFF87 == 0x4780 for word in words)
