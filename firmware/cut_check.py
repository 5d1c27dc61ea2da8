# SPDX-License-Identifier: Apache-2.0
"""Whether the virtual machine that was built can run the code it was built for.

The specialiser decides from the modules' source which features are left out. This looks at the
result from the other end: at the instructions that are frozen into the image and at what the C that
was compiled still has. Were a feature wrongly cut, one of these would be missing, and the build
says so; the board would only find out when it comes to that line.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from boards.errors import ENVIRONMENT, CoffretError

_MEND = "report it, with the module; until then write it in another way"
# mpy-tool's comment behind an instruction: the opcode, then the name it is about.
_USES = re.compile(
    r"// (?:LOAD_(?:NAME|GLOBAL|ATTR|METHOD|SUPER_METHOD)|IMPORT_\w+) '(\w+)'$", re.M
)
_DIVIDES = re.compile(r"// BINARY_OP \d+ __i?truediv__")
_INTERNED = re.compile(r"^Q\((\w+)\)$", re.M)
_NAMED = re.compile(r"\bMP_QSTR_(\w+)")
_WORD = re.compile(r"[^\W\d]\w*")

# In py/vm.c: the labels of opcodes, and where control never comes.
_CASE = re.compile(r"\bENTRY\(MP_BC_(\w+)\):")
_SWITCH = "switch (*ip++) {"


class WrongCutError(CoffretError):
    """The virtual machine lacks what its modules need: the specialiser is wrong."""

    def __init__(self, message: str) -> None:
        super().__init__(message, _MEND, ENVIRONMENT)


def check_names(
    frozen: str,
    sources: Mapping[str, bytes],
    compiled: str,
    everything: Callable[[], Iterable[str]],
) -> None:
    """Raises WrongCutError for a name that modules use and MicroPython has, but this one has not.

    `frozen` is mpy-tool's output, `sources` are the modules by import name, `compiled` is the list
    of names of the C code as it is compiled, `everything` gives the texts of all of MicroPython's
    C; it is asked only if a name is missing.
    What modules define or spell themselves is theirs.
    """
    missing = set(_USES.findall(frozen)) - set(_INTERNED.findall(compiled))
    if missing:
        missing -= _spelled(sources.values()) | {*".".join(sources).split(".")}
    if missing:
        missing &= {name for text in everything() for name in _NAMED.findall(text)}
    if missing:
        names = ", ".join(sorted(missing))
        raise WrongCutError(f"the runtime was built without {names}, which the modules use")


def check_numbers(frozen: str, switches: Mapping[str, str]) -> None:
    """Raises WrongCutError for a division in a runtime without floating point."""
    if switches.get("MICROPY_FLOAT_IMPL", "").endswith("_NONE") and _DIVIDES.search(frozen):
        raise WrongCutError("the runtime was built without floats, and the modules divide by `/`")


def _spelled(sources: Iterable[bytes]) -> frozenset[str]:
    """What modules name themselves, and words of their texts, which may become names."""
    found: set[str] = set()
    for source in sources:
        for node in ast.walk(ast.parse(source)):
            match node:
                case ast.Constant(value=str() as text):
                    found.update(_WORD.findall(text))
                case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                    found.add(name)
                case ast.arg(arg=name) | ast.keyword(arg=str() as name):
                    found.add(name)
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                    found.add(name)
                case ast.ClassDef(name=name) | ast.ExceptHandler(name=str() as name):
                    found.add(name)
                case ast.alias(asname=str() as name):
                    found.add(name)
    return frozenset(found)


def with_needed_opcodes(interpreter: str, opcodes: Collection[str]) -> str:
    """py/vm.c such that it does not compile unless the case of each of these opcodes does.

    A `goto` where control never comes names each case's label: one that `#if` took away is an
    undeclared label, and costs nothing if it is there.
    """
    wanted: Sequence[str] = [name for name in _CASE.findall(interpreter) if name in opcodes]
    if interpreter.count(_SWITCH) != 1:
        raise WrongCutError("py/vm.c does not have the one switch that is known")
    gotos = " ".join(f"goto opcode_{name};" for name in sorted(set(wanted)))
    text = interpreter.replace(_SWITCH, f"{_SWITCH} {gotos}")
    return _CASE.sub(
        lambda match: f"{match[0]} opcode_{match[1]}:;" if match[1] in opcodes else match[0], text
    )
