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
from dataclasses import dataclass

from boards.errors import ENVIRONMENT, CoffretError
from firmware.specialiser.features.catalogue import ATTRIBUTES, FLOAT, METHODS, switch
from firmware.specialiser.features.library import LIBRARY

_MEND = "report it, with the module; until then write it in another way"
# mpy-tool's comment behind an instruction: the opcode, then the name it is about.
_USES = re.compile(
    r"// (?:LOAD_(?:NAME|GLOBAL|ATTR|METHOD|SUPER_METHOD)|IMPORT_\w+) '(\w+)'$", re.M
)
_ATTRIBUTES = re.compile(r"// LOAD_(?:ATTR|METHOD) '(\w+)'$", re.M)
# Code that is given a stream, in an appliance that never makes one, calls none.
_OF_STREAMS = frozenset(
    ("read", "readinto", "readline", "readlines", "write", "close", "flush", "seek", "tell")
)
_HAVE_STREAMS = frozenset(("io", "sys", "machine", "deflate"))
_INTERNED = re.compile(r"^Q\((\w+)\)$", re.M)
_NAMED = re.compile(r"\bMP_QSTR_(\w+)")
_WORD = re.compile(r"[^\W\d]\w*")

# Attributes that are read. Before an assignment such as `self.count += 1` the object is doubled.
_ASKED = re.compile(r"(?<!^DUP_TOP\n)^LOAD_(?:METHOD|ATTR) '(\w+)'$", re.M)
_IMPORTED = re.compile(r"^IMPORT_NAME '([\w.]+)'$", re.M)
_OF_OBJECTS = re.compile(r"CPYTHON_COMPAT|PY_BUILTINS_|PY_FUNCTION_ATTRS")
_STORED = re.compile(r"// STORE_NAME '(__\w+__)'$", re.M)
_INSTRUCTION = re.compile(r"^    (?:0x[0-9a-f]{2},)+ // ([A-Z_]+\b.*)$", re.M)
_ONE = r"LOAD_(?!ATTR|METHOD|SUBSCR|SUPER)\w+(?: .*)?\n"  # it leaves one value more


@dataclass(frozen=True, slots=True)
class _Run:
    """Instructions, one a line, that do what a feature is for. `builtin`: what they call, if any,
    which a module may have replaced by its own.
    """

    switch: str
    what: str
    text: str
    builtin: str = ""

    def __contains__(self, instructions: str) -> bool:
        return re.search(rf"^(?:{self.text})$", instructions, re.M) is not None


def _call(switch: str, builtin: str, arguments: int) -> _Run:
    """A builtin is called with so many plain arguments."""
    loads = rf"LOAD_(?:NAME|GLOBAL) '{builtin}'\n(?:{_ONE}){{{arguments}}}"
    what = f"call `{builtin}` with {arguments} arguments"
    return _Run(switch, what, rf"{loads}CALL_FUNCTION {arguments}", builtin)


def _class(bases: int) -> str:
    """A class statement with so many plain bases."""
    # Behind the function that is the class's body: its name and its bases.
    loads = rf"(?:{_ONE}){{{1 + bases}}}"
    return rf"LOAD_BUILD_CLASS\nMAKE_FUNCTION \d+\n{loads}CALL_FUNCTION {2 + bases}"


_RUNS = (
    _Run(FLOAT, "divide by `/`", r"BINARY_OP \d+ __i?truediv__"),
    _Run(
        "PY_ARRAY_SLICE_ASSIGN",
        "assign to slices",
        r"BUILD_SLICE \d\n(?:LOAD_NULL\nROT_THREE\n)?STORE_SUBSCR",
    ),
    _Run(
        "MULTIPLE_INHERITANCE",
        "have classes with several bases",
        "|".join(map(_class, range(2, 6))),
    ),
    _Run(
        "PY_BUILTINS_STR_OP_MODULO",
        "format texts with `%`",
        rf"LOAD_CONST_STRING .*\n{_ONE}BINARY_OP \d+ __i?mod__",
    ),
    _call("PY_BUILTINS_NEXT2", "next", 2),
    _call("PY_BUILTINS_POW3", "pow", 3),
    _call("PY_BUILTINS_ROUND_INT", "round", 2),
)

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
    What modules define or spell themselves is theirs. Modules that may do without one that is not
    there are not asked: nobody knows which names they would have used with it. Where a class has
    a `__getattr__`, any attribute may be its own; without a module that has streams, so is `write`.
    """
    interned = set(_INTERNED.findall(compiled))
    imported = {*_IMPORTED.findall("\n".join(_INSTRUCTION.findall(frozen)))}
    if imported - interned - sources.keys():
        return
    missing = set(_USES.findall(frozen)) - interned
    if missing:
        own = _spelled(sources.values()) | {*".".join(sources).split(".")}
        missing -= own
        if "__getattr__" in own:
            missing -= set(_ATTRIBUTES.findall(frozen))
        if not imported & _HAVE_STREAMS:
            missing -= _OF_STREAMS & set(_ATTRIBUTES.findall(frozen))
    if missing:
        missing &= {name for text in everything() for name in _NAMED.findall(text)}
    if missing:
        names = ", ".join(sorted(missing))
        raise WrongCutError(f"the runtime was built without {names}, which the modules use")


def check_instructions(
    frozen: str, sources: Mapping[str, bytes], compiled: str, switches: Mapping[str, str]
) -> None:
    """Raises WrongCutError for instructions that do what the runtime's switches leave out.

    The arguments are those of `check_names`. What has a name of its own is found there; this is for
    features that have none: operators, special methods, forms of a call.
    """
    text = "\n".join(_INSTRUCTION.findall(frozen))
    needed = {(run.switch, run.what, run.builtin) for run in _RUNS if text in run}
    imported = set(_IMPORTED.findall(text))
    for asked in set(_ASKED.findall(text)):
        # A module of the appliance has its `__name__` by itself.
        if asked.startswith("__") and imported & sources.keys():
            continue
        switches_of = filter(_OF_OBJECTS.match, ATTRIBUTES.get(asked, ()))
        needed |= {(name, f"use `{asked}`", asked) for name in switches_of}
    for module in imported & LIBRARY.keys() - sources.keys():
        needed |= {(name, f"import {module}", "") for name in LIBRARY[module].switches}
    if any("." in name for name in imported & sources.keys()):
        needed.add(("PY_PACKAGES", "import from packages", ""))
    for name, what, word in sorted(needed):
        value = switches.get(switch(name), "0")
        off = value == "0" or value.endswith("_NONE")
        if off and word not in _spelled(sources.values()):
            message = f"the runtime was built without {switch(name)}: its modules {what}"
            raise WrongCutError(message)
    defined = set(_STORED.findall(frozen)) & METHODS.keys()
    missing = ", ".join(sorted(defined - set(_INTERNED.findall(compiled))))
    if missing:
        raise WrongCutError(f"the runtime was built without {missing}, which a class defines")


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
