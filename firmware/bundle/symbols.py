# SPDX-License-Identifier: Apache-2.0
"""The symbol file: what turns the places in a board's log into files, lines and functions.

A sealed image of the release profile has no line numbers: its tracebacks name the address of each
frame's bytecode. So does, in a debug image, the entry of a processor's fault. Lines are in this
file of the bundle, by the digest of the image they are about.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from boards.errors import NO, USAGE, CoffretError
from firmware.specialiser.mpy import Function, functions_of

SYMBOLS_FILE = "symbols.json"
# mpy-tool's array of one function: its name, and the bytes of all its lines.
_ARRAY = re.compile(r"^static const byte (fun_data_\w+)\[\d+\] = \{\n(.*?)^\};", re.M | re.S)
_BYTE = re.compile(r"0x([0-9a-f]{2}),")
_COMMENT = re.compile(r"//.*")
_NATIVE = frozenset({"micropython.native", "micropython.viper"})
_UNNAMED: Mapping[type[ast.AST], str] = {
    ast.Lambda: "<lambda>",
    ast.ListComp: "<listcomp>",
    ast.SetComp: "<setcomp>",
    ast.DictComp: "<dictcomp>",
    ast.GeneratorExp: "<genexpr>",
}

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Offset = Annotated[int, Field(ge=0, lt=1 << 32)]


class SymbolError(CoffretError):
    """A symbol file is damaged, or is about another image."""


@dataclass(frozen=True, slots=True)
class Named:
    """A function of bytecode in the image: the name of its array in the ELF file, and its lines."""

    file: str
    symbol: str
    function: Function


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Place(_Record):
    """A function in both images: where its opcodes begin, how many bytes they are, their lines."""

    file: str
    name: str
    size: Offset
    at: dict[Digest, Offset]  # by the image's digest: an address on the board
    lines: tuple[tuple[Offset, Offset], ...] = Field(strict=False)  # from that offset on: the line

    def line(self, offset: int) -> int:
        """The line of the opcode at `offset`."""
        found = 1
        for start, line in self.lines:
            if start > offset:
                break
            found = line
        return found


class Symbols(_Record):
    """The file."""

    format: Literal[1]
    images: tuple[Digest, Digest] = Field(strict=False)  # of slot A and slot B
    sources: dict[str, Digest]  # SHA-256 of the files as they were written
    functions: tuple[Place, ...] = Field(strict=False)

    def text(self) -> bytes:
        """The file's bytes, one function a line."""
        document = self.model_dump(mode="json")
        lines = [json.dumps(each, sort_keys=True) for each in document.pop("functions")]
        head = json.dumps(document, sort_keys=True, indent=1)[:-2]
        body = ",\n  ".join(lines)
        return f'{head},\n "functions": [\n  {body}\n ]\n}}\n'.encode()

    def at(self, image: str, address: int) -> tuple[Place, int] | None:
        """The function of that image around an address, and the line."""
        for place in self.functions:
            start = place.at.get(image)
            # The machine may have gone past the last opcode when it raises.
            if start is not None and start <= address <= start + place.size:
                return place, place.line(address - start)
        return None


def named_functions(
    file: str, sealed: bytes, full: bytes, frozen: str, static: Sequence[str]
) -> tuple[Named, ...]:
    """The functions of a module as `sealed`, whose lines are in `full`: two .mpy files of one text.

    `frozen` is mpy-tool's output for a program with that module. Raises SymbolError if the two are
    not the same code, which must never be.
    """
    arrays: dict[bytes, list[str]] = {}
    for symbol, body in _ARRAY.findall(frozen):
        if symbol.startswith(f"fun_data_{_escaped(file)}_"):
            arrays.setdefault(_bytes_of(body), []).append(symbol)
    found = []
    both = zip(functions_of(sealed, static), functions_of(full, static), strict=True)
    for bare, lined in both:
        if bare.opcodes != lined.opcodes or not arrays.get(bare.data):
            mend = "build with `--profile debug`, and report it"
            raise SymbolError(f"{file}: {bare.name} has no lines that belong to its code", mend)
        symbol = arrays[bare.data].pop(0)
        found.append(Named(file, symbol, Function(bare.name, bare.data, bare.first, lined.lines)))
    return tuple(found)


def native_functions(file: str, text: bytes, frozen: str) -> tuple[Named, ...]:
    """The functions of a module, whose `text` was compiled, that are machine code in the image.

    They have the line of their `def`. None if the two do not tell as many: then names would be
    guesses.
    """
    head = re.escape(f"// frozen native code for file {file}, scope ")
    array = (
        rf"^{head}\w+\nstatic const byte (fun_data_\w+)\[\d+\] __attribute__[^\n]*\{{\n(.*?)^\}};"
    )
    arrays = re.findall(array, frozen, re.M | re.S)
    scopes = list(_native_scopes(ast.parse(text)))
    if len(arrays) != len(scopes):
        return ()
    return tuple(
        Named(file, symbol, Function(name, _bytes_of(body), 0, ((0, line),)))
        for (symbol, body), (name, line) in zip(arrays, scopes, strict=True)
    )


def _native_scopes(node: ast.AST, inside: bool = False) -> Iterator[tuple[str, int]]:
    """Name and line of each function for the native emitters, and of what has code of its own in
    it; in the order of the text.
    """
    for child in ast.iter_child_nodes(node):
        native = inside
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            native |= any(ast.unparse(each) in _NATIVE for each in child.decorator_list)
        if native and (name := _scope_name(child)) is not None:
            yield name, child.lineno  # type: ignore[attr-defined]  # whatever has a name has a line
        yield from _native_scopes(child, native)


def _scope_name(node: ast.AST) -> str | None:
    """What MicroPython calls a piece of code of its own."""
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return name
        case _:
            return _UNNAMED.get(type(node))


def _bytes_of(body: str) -> bytes:
    return bytes.fromhex("".join(_BYTE.findall(_COMMENT.sub("", body))))


def _escaped(file: str) -> str:
    """What mpy-tool makes of a module's file name in the names of its arrays."""
    return file.replace("/", "_")[: -len(".py")]


def symbols(
    functions: Sequence[Named],
    elfs: Sequence[Path],
    images: Sequence[str],
    sources: Mapping[str, str],
) -> Symbols:
    """The symbol file of two linked images, given as ELF files and by their digests."""
    tables = [_addresses(elf) for elf in elfs]
    places = []
    for each in functions:
        function = each.function
        at = {
            image: table[each.symbol] + function.first
            for image, table in zip(images, tables, strict=True)
            if each.symbol in table
        }
        if at:  # else nothing refers to it, and the linker dropped it
            size = len(function.opcodes)
            places.append(
                Place(file=each.file, name=function.name, size=size, at=at, lines=function.lines)
            )
    first, second = images
    return Symbols(format=1, images=(first, second), sources=dict(sources), functions=tuple(places))


def _addresses(elf: Path) -> dict[str, int]:
    with elf.open("rb") as stream:
        table = ELFFile(stream).get_section_by_name(".symtab")
        if not isinstance(table, SymbolTableSection):
            return {}
        return {
            symbol.name: int(symbol["st_value"])
            for symbol in table.iter_symbols()
            if symbol.name.startswith("fun_data_")
        }


def read_symbols(path: Path, images: Sequence[str]) -> Symbols:
    """The symbol file at `path`, which must be about these images (SHA-256, hex).

    Raises SymbolError: 2 if it cannot be read, 1 if it is about others.
    """
    mend = "take symbols.json from the bundle that the board runs"
    try:
        found = Symbols.model_validate_json(path.read_bytes())
    except OSError as error:
        what = (error.strerror or "cannot be read").lower()
        raise SymbolError(f"{path}: {what}", mend, USAGE) from None
    except ValidationError as error:
        first = str(error).splitlines()[0]
        raise SymbolError(f"{path}: is no symbol file: {first}", mend, USAGE) from None
    if list(found.images) != list(images):
        what = f"{path}: is about the images {found.images[0][:16]} and {found.images[1][:16]}"
        raise SymbolError(f"{what}, not {images[0][:16]} and {images[1][:16]}", mend, NO)
    return found
