# SPDX-License-Identifier: Apache-2.0
"""A feature that was wrongly cut is noticed when the image is built, not on the board.

Every switch that the specialiser turns on for one of the programs is turned off behind its back.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from boards.errors import CoffretError
from firmware.specialiser.cut_check import (
    WrongCutError,
    check_instructions,
    check_names,
    with_needed_opcodes,
)
from firmware.specialiser.specialise import Source, specialise
from tests.firmware.test_soundness import all_switches, filled, programs
from tests.firmware.vm_rig import build_image
from tests.qemu import needs_qemu

# What a program may need of these is a matter of values, which no instruction names: without them
# the board raises an exception where it should not, or none where it should.
BY_VALUE: Mapping[str, str] = {
    "MICROPY_LONGINT_IMPL": "OverflowError: a result has more than 31 bits",
    "MICROPY_PY_BUILTINS_RANGE_BINOP": "what is compared is a range",
}


@dataclass(frozen=True, slots=True)
class Need:
    """A program for which a switch is on, and not only because nothing could be decided."""

    program: str
    switches: Mapping[str, str]

    def without(self, switch: str) -> dict[str, str]:
        return {name: value for name, value in self.switches.items() if name != switch}


@cache
def _needs() -> Mapping[str, Need]:
    """By switch, the shortest program that needs it."""
    found: dict[str, Need] = {}
    for group, texts in programs().items():
        for number, text in enumerate(texts):
            program = filled(text, random.Random(f"{group}{number}"))
            made = specialise([Source("main", Path("main.py"), program.encode())])
            for switch, reasons in made.reasons.items():
                undecided = all(each.what.endswith(("so kept", "is kept")) for each in reasons)
                known = found.get(switch)
                if not undecided and (known is None or len(program) < len(known.program)):
                    found[switch] = Need(program, made.switches)
    return found


@pytest.mark.all
@needs_qemu
@pytest.mark.parametrize("switch", sorted(_needs()))
def test_a_wrong_cut_is_noticed_at_build_or_changes_nothing(switch: str, tmp_path: Path) -> None:
    need = _needs()[switch]
    modules = {"main": need.program}
    try:
        cut = build_image(modules, tmp_path / "cut", need.without(switch))
    except CoffretError:
        return
    said = cut.run()
    whole = build_image(modules, tmp_path / "whole", need.switches).run()
    assert said == whole or switch in BY_VALUE, f"{need.program}\n{said}\n{whole}"


FROZEN = "    0x11,0x05, // LOAD_GLOBAL '{}'\n"


def _check(name: str, source: str = "", compiled: str = "", whole: str = "MP_QSTR_sorted") -> None:
    check_names(FROZEN.format(name), {"main": source.encode()}, compiled, lambda: [whole])


def test_a_name_that_the_runtime_has_not_is_an_error() -> None:
    with pytest.raises(WrongCutError, match="without sorted"):
        _check("sorted")
    _check("sorted", compiled="Q(len)\nQ(sorted)\n")


def test_a_name_of_the_programs_own_is_none() -> None:
    for source in (
        *("def sorted(x): ...", "sorted = 1", "x.sorted = 1", "class sorted: ...", "f(sorted=1)"),
        *("def f(sorted): ...", "namedtuple('P', 'a sorted')", "import x as sorted"),
    ):
        _check("sorted", source)
    _check("main")  # a module of its own
    _check("nobody_has_it")


def test_a_module_that_may_do_without_another_is_not_asked_for_names() -> None:
    without = "    0x1b,0x05, // IMPORT_NAME 'framebuf'\n" + FROZEN.format("sorted")
    check_names(without, {"main": b""}, "", lambda: ["MP_QSTR_sorted"])
    with pytest.raises(WrongCutError):
        check_names(without, {"main": b"", "framebuf": b""}, "", lambda: ["MP_QSTR_sorted"])


def test_an_attribute_may_be_the_getattr_of_a_class() -> None:
    source = b"class C:\n    def __getattr__(self, name): return name\nprint(C().add)"
    frozen = "    0x13, 0x02, // LOAD_ATTR 'add'"
    check_names(frozen, {"main": source}, "Q(print)\n", lambda: ["MP_QSTR_add"])
    with pytest.raises(WrongCutError, match="without add"):
        check_names(frozen, {"main": b"print({1}.add)"}, "Q(print)\n", lambda: ["MP_QSTR_add"])


def test_code_for_streams_is_none_where_nothing_has_one() -> None:
    source = {"main": b"def save(file): file.write(1)"}
    frozen = "    0x14, 0x02, // LOAD_METHOD 'write'"
    check_names(frozen, source, "", lambda: ["MP_QSTR_write"])
    with_io = f"    0x1b,0x05, // IMPORT_NAME 'io'\n{frozen}"
    with pytest.raises(WrongCutError, match="without write"):
        check_names(with_io, source, "Q(io)\n", lambda: ["MP_QSTR_write"])


def test_importing_a_name_does_not_make_it() -> None:
    with pytest.raises(WrongCutError):
        _check("sorted", "from builtins import sorted")


def test_an_opcode_without_its_case_does_not_compile() -> None:
    interpreter = "switch (*ip++) {\n ENTRY(MP_BC_A): x;\n ENTRY(MP_BC_B): y;\n}"
    assert with_needed_opcodes(interpreter, {"B", "C"}) == (
        "switch (*ip++) { goto opcode_B;\n ENTRY(MP_BC_A): x;\n ENTRY(MP_BC_B): opcode_B:; y;\n}"
    )
    with pytest.raises(WrongCutError):
        with_needed_opcodes("", {"A"})


NAMES = {"x": "LOAD_NAME 'x'", "y": "LOAD_FAST 1", "1": "LOAD_CONST_SMALL_INT 1"}


def _instructions(*lines: str, source: str = "", compiled: str = "", **switches: str) -> None:
    text = "".join(f"    0x11,0x05, // {NAMES.get(line, line)}\n" for line in lines)
    named = {f"MICROPY_{name}": value for name, value in switches.items()}
    check_instructions(text, {"main": source.encode()}, compiled, named)


ALL = [name.removeprefix("MICROPY_") for name in all_switches()]
CLASS = ("LOAD_BUILD_CLASS", "MAKE_FUNCTION 2", "LOAD_CONST_STRING 'C'")


@pytest.mark.parametrize(
    ("switch", "lines"),
    [
        ("FLOAT_IMPL", ("x", "y", "BINARY_OP 11 __truediv__")),
        ("PY_ARRAY_SLICE_ASSIGN", ("x", "1", "1", "BUILD_SLICE 2", "STORE_SUBSCR")),
        (
            "PY_ARRAY_SLICE_ASSIGN",
            ("x", "1", "1", "BUILD_SLICE 2", "LOAD_NULL", "ROT_THREE", "STORE_SUBSCR"),
        ),
        ("MULTIPLE_INHERITANCE", (*CLASS, "x", "y", "CALL_FUNCTION 4")),
        ("PY_BUILTINS_STR_OP_MODULO", ("LOAD_CONST_STRING '%d'", "1", "BINARY_OP 33 __mod__")),
        ("PY_BUILTINS_NEXT2", ("LOAD_NAME 'next'", "x", "1", "CALL_FUNCTION 2")),
        ("CPYTHON_COMPAT", ("x", "LOAD_METHOD 'encode'", "CALL_METHOD 0")),
        ("CPYTHON_COMPAT", ("x", "LOAD_ATTR '__class__'")),
        ("PY_BUILTINS_STR_COUNT", ("x", "LOAD_METHOD 'count'", "x", "CALL_METHOD 1")),
        ("PY_BUILTINS_SLICE_ATTRS", ("x", "LOAD_ATTR 'start'")),
        ("PY_FUNCTION_ATTRS", ("x", "LOAD_ATTR '__name__'")),
        ("PY_ERRNO", ("IMPORT_NAME 'errno'",)),
        ("PY_BUILTINS_POW3", ("LOAD_GLOBAL 'pow'", "x", "1", "1", "CALL_FUNCTION 3")),
    ],
)
def test_instructions_that_need_a_feature_are_an_error_without_it(
    switch: str, lines: Sequence[str]
) -> None:
    _instructions(*lines, **dict.fromkeys(ALL, "1"))
    for off in ("0", "MICROPY_NONE"):
        with pytest.raises(WrongCutError, match=switch):
            _instructions(*lines, **{**dict.fromkeys(ALL, "1"), switch: off})


def test_instructions_that_look_like_it_are_none() -> None:
    _instructions(*CLASS, "x", "CALL_FUNCTION 3")
    # class C(f(x, y, 1, 1)): four arguments, and one base
    _instructions(*CLASS, "x", "x", "y", "1", "1", "CALL_FUNCTION 4", "CALL_FUNCTION 3")
    _instructions("x", "1", "BINARY_OP 33 __mod__", "BINARY_OP 10 __floordiv__")
    _instructions("x", "1", "1", "BUILD_SLICE 2", "LOAD_SUBSCR")
    _instructions("LOAD_NAME 'next'", "x", "CALL_FUNCTION 1")
    _instructions("x", "DUP_TOP", "LOAD_ATTR 'count'", "1", "BINARY_OP 14 __iadd__")
    _instructions("IMPORT_NAME 'main'", "LOAD_ATTR '__name__'")
    own = ("LOAD_NAME 'next'", "x", "1", "CALL_FUNCTION 2")
    _instructions(*own, source="def next(a, b): ...")


def test_a_special_method_that_nothing_calls_is_an_error() -> None:
    with pytest.raises(WrongCutError, match="without __mul__"):
        _instructions("STORE_NAME '__mul__'", source="class A:\n def __mul__(self, x): ...")
    _instructions("STORE_NAME '__mul__'", compiled="Q(__mul__)\n")
    _instructions("STORE_NAME '__mine__'")
