# SPDX-License-Identifier: Apache-2.0
"""A feature that was wrongly cut is noticed when the image is built, not on the board.

Every switch that the specialiser turns on for one of the programs is turned off behind its back.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from boards.errors import CoffretError
from firmware.cut_check import WrongCutError, check_names, check_numbers, with_needed_opcodes
from firmware.specialise import Source, specialise
from tests.firmware.test_soundness import filled, programs
from tests.firmware.vm_rig import build_image

# What a program may need of these is a matter of values, which no instruction names: without them
# the board raises an exception that names the reason, and never gives a wrong result.
BY_VALUE = {
    "MICROPY_LONGINT_IMPL": "OverflowError: a result has more than 31 bits",
}


def _programs() -> dict[str, str]:
    """A program for every switch that is on for any of them."""
    found: dict[str, str] = {}
    for group, texts in programs().items():
        for number, text in enumerate(texts):
            program = filled(text, random.Random(f"{group}{number}"))
            switches = specialise([Source("main", Path("main.py"), program.encode())]).switches
            for switch, value in switches.items():
                if value != "0" and len(program) < len(found.get(switch, " " * 10_000)):
                    found[switch] = program
    return found


def _without(program: str, switch: str) -> dict[str, str]:
    switches = dict(specialise([Source("main", Path("main.py"), program.encode())]).switches)
    del switches[switch]
    return switches


@pytest.mark.all
@pytest.mark.parametrize("switch", sorted(_programs()))
def test_every_wrong_cut_is_noticed_at_build(switch: str, tmp_path: Path) -> None:
    program = _programs()[switch]
    if switch in BY_VALUE:
        pytest.skip(BY_VALUE[switch])
    with pytest.raises(CoffretError):
        build_image({"main": program}, tmp_path, _without(program, switch))


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


def test_a_division_needs_floats() -> None:
    text = "  0xf7, // BINARY_OP 11 __truediv__\n"
    check_numbers(text, {"MICROPY_FLOAT_IMPL": "MICROPY_FLOAT_IMPL_FLOAT"})
    with pytest.raises(WrongCutError):
        check_numbers(text, {"MICROPY_FLOAT_IMPL": "MICROPY_FLOAT_IMPL_NONE"})
