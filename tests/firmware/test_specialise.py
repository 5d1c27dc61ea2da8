# SPDX-License-Identifier: Apache-2.0
"""What the specialiser keeps, leaves out and refuses."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from boards.errors import CoffretError
from firmware.compiler.sources import MICROPYTHON, find_tree
from firmware.specialiser.features import catalogue, library
from firmware.specialiser.features.catalogue import switch
from firmware.specialiser.specialise import Source, Specialisation, specialise


def of(*texts: str) -> Specialisation:
    """The specialisation of a program, one text a module: m0, m1, ..."""
    sources = [
        Source(f"m{index}", Path(f"m{index}.py"), text.encode()) for index, text in enumerate(texts)
    ]
    return specialise(sources)


def needed(*texts: str) -> set[str]:
    """Switches that are on, without their prefix."""
    return {name.removeprefix("MICROPY_") for name in of(*texts).reasons}


def refused(text: str) -> str:
    """What the error says."""
    with pytest.raises(CoffretError) as caught:
        of(text)
    assert caught.value.exit_code == 2
    return caught.value.message


@pytest.fixture(scope="module")
def tree() -> Path:
    """The pinned MicroPython."""
    return find_tree(MICROPYTHON).path


def test_a_print_of_a_constant_needs_nothing() -> None:
    assert needed('print("hello, world")') == set()


@pytest.mark.parametrize(
    ("text", "feature"),
    [
        ("x = 1.5", "FLOAT_IMPL"),
        ("def f(a, b):\n    return a / b", "FLOAT_IMPL"),
        ("def f(a):\n    a /= 2", "FLOAT_IMPL"),
        ("def f(a, b):\n    return a ** b", "FLOAT_IMPL"),
        ("def f(a):\n    return f'{a:.2f}'", "FLOAT_IMPL"),
        ("def f(a):\n    return '{:{}.1f}'.format(a, 9)", "FLOAT_IMPL"),
        ("def f(a):\n    return '%05.1f' % a", "FLOAT_IMPL"),
        ("F = '%g'\ndef f(a):\n    return F % a", "FLOAT_IMPL"),
        ("import struct\nstruct.unpack('<f', b'1234')", "FLOAT_IMPL"),
        ("from json import loads", "FLOAT_IMPL"),
        ("def f(a):\n    return a ** 0.5", "PY_BUILTINS_COMPLEX"),
        ("x = 1j", "PY_BUILTINS_COMPLEX"),
        ("x = 1 << 30", "LONGINT_IMPL"),
        ("x = 1073741824", "LONGINT_IMPL"),
        ("def f(a, b):\n    return a + b", "LONGINT_IMPL"),
        ("i = 0\nwhile True:\n    i += 1", "LONGINT_IMPL"),
        ("def f(a):\n    return -a", "LONGINT_IMPL"),
        ("def f(a):\n    return int(a)", "LONGINT_IMPL"),
        ("def f(a):\n    return list(map(int, a))", "LONGINT_IMPL"),
        ("import struct\nstruct.unpack('<I', b'1234')", "LONGINT_IMPL"),
        ("import struct\ndef f(a):\n    struct.unpack(a, b'1234')", "LONGINT_IMPL"),
        ("def f(a):\n    return int.from_bytes(a, 'little')", "LONGINT_IMPL"),
        ("import enclave\nenclave.ticks_ms()", "LONGINT_IMPL"),
        ("x = {1, 2}", "PY_BUILTINS_SET"),
        ("x = {i for i in range(3)}", "PY_BUILTINS_SET"),
        ("x = frozenset()", "PY_BUILTINS_SET"),
        ("x = [1, 2, 3][1:]", "PY_BUILTINS_SLICE"),
        ("x = bytearray(4)\nx[1:2] = b'ab'", "PY_ARRAY_SLICE_ASSIGN"),
        ("x = min(1, 2)", "PY_BUILTINS_MIN_MAX"),
        ("x = 'a b'.partition(' ')", "PY_BUILTINS_STR_PARTITION"),
        ("def f(a):\n    return a.center(9)", "PY_BUILTINS_STR_CENTER"),
        ("def f(a, b):\n    return getattr(a, b)", "PY_BUILTINS_STR_CENTER"),
        ("def f(a):\n    return getattr(a, 'center')", "PY_BUILTINS_STR_CENTER"),
        ("x = b'a'.decode()", "PY_BUILTINS_STR_UNICODE"),
        ("x = 'é'", "PY_BUILTINS_STR_UNICODE"),
        ("def f(a):\n    return chr(a)", "PY_BUILTINS_STR_UNICODE"),
        ("x = '%s' % 3", "PY_BUILTINS_STR_OP_MODULO"),
        ("class A:\n    def __mul__(self, other):\n        return 1", "PY_ALL_SPECIAL_METHODS"),
        (
            "class A:\n    def __radd__(self, other):\n        return 1",
            "PY_REVERSE_SPECIAL_METHODS",
        ),
        ("class A:\n    __imul__ = None", "PY_ALL_INPLACE_SPECIAL_METHODS"),
        ("class A:\n    def __get__(self, a, b):\n        return 1", "PY_DESCRIPTORS"),
        ("class A:\n    def __del__(self):\n        pass", "ENABLE_FINALISER"),
        ("class A:\n    @property\n    def x(self):\n        return 1", "PY_BUILTINS_PROPERTY"),
        ("class A: pass\nclass B: pass\nclass C(A, B): pass", "MULTIPLE_INHERITANCE"),
        ("x = type('A', (), {})", "MULTIPLE_INHERITANCE"),
        ("async def f():\n    await g()\ndef g(): pass", "PY_ASYNC_AWAIT"),
        ("class A(object):\n    def __init__(self):\n        super().__init__()", "CPYTHON_COMPAT"),
        ("def f(a, b):\n    return a | b", "CPYTHON_COMPAT"),
        ("x = list.append", "BUILTIN_METHOD_CHECK_SELF_ARG"),
        ("x = range(3)\ny = x == range(3)", "PY_BUILTINS_RANGE_BINOP"),
        ("try:\n    raise OSError(2)\nexcept Exception as e:\n    print(e)", "PY_ERRNO"),
        ("import machine\nmachine.mem32[0x40000000]", "PY_MACHINE_MEMX"),
        ("from math import *", "PY_MATH_SPECIAL_FUNCTIONS"),
        ("import math\ndef f(a):\n    return a(math)", "PY_MATH_SPECIAL_FUNCTIONS"),
        ("from collections import deque", "PY_COLLECTIONS_DEQUE_ITER"),
        ("import binascii\nbinascii.hexlify(b'1')", "PY_BUILTINS_BYTES_HEX"),
        ("def f(a):\n    return a.hex()", "CPYTHON_COMPAT"),
        ("globals()['f']()", "PY_BUILTINS_FILTER"),
        ("def __getattr__(name):\n    return 1", "MODULE_GETATTR"),
        ("import micropython\n@micropython.native\ndef f():\n    pass", "EMIT_THUMB"),
    ],
)
def test_a_construct_keeps_its_feature(text: str, feature: str) -> None:
    assert feature in needed(text)


@pytest.mark.parametrize(
    ("text", "feature"),
    [
        ("for i in range(10):\n    print(i * 3 + 1)", "LONGINT_IMPL"),
        ("def f(a):\n    return (a & 255) * 4 + a % 10", "LONGINT_IMPL"),
        ("x = -1073741824", "LONGINT_IMPL"),
        ("def f(a):\n    return len(a) + 1", "LONGINT_IMPL"),
        ("def f(a):\n    return ord(a) - 48", "LONGINT_IMPL"),
        ("x = [1] + [2]", "LONGINT_IMPL"),
        ("x = 'a' + 'b' * 3", "LONGINT_IMPL"),
        ("def f(a):\n    return a[0] // 10", "LONGINT_IMPL"),
        ("import struct\nstruct.unpack('<HhB', b'12345')", "LONGINT_IMPL"),
        ("def f(a):\n    return a % 10", "PY_BUILTINS_STR_OP_MODULO"),
        ("x = 2 ** 3", "FLOAT_IMPL"),
        ("def f(a):\n    return f'{a:04x}'", "FLOAT_IMPL"),
        ("def f(a):\n    return '100%' + str(a)", "PY_BUILTINS_STR_OP_MODULO"),
        ("def f(filter):\n    return filter", "PY_BUILTINS_FILTER"),
        ("def f(a):\n    return (a > 1) + 1", "LONGINT_IMPL"),
        ("import math\nmath.sqrt(2)", "PY_MATH_SPECIAL_FUNCTIONS"),
        ("try:\n    raise OSError(2)\nexcept OSError as e:\n    raise e", "PY_ERRNO"),
        ("try:\n    pass\nexcept ValueError as e:\n    print(e)", "PY_ERRNO"),
        ("def f(a: 'set[int] | None', b: float = None) -> 'float':\n    pass", "FLOAT_IMPL"),
        ("'a comment é 1.5'", "PY_BUILTINS_STR_UNICODE"),
        ("def f(a):\n    return isinstance(a, str)", "CPYTHON_COMPAT"),
    ],
)
def test_what_cannot_be_needed_is_left_out(text: str, feature: str) -> None:
    assert feature not in needed(text)


def test_a_variable_grows_only_as_far_as_its_loop_lets_it() -> None:
    assert "LONGINT_IMPL" not in needed("x = 0\nfor i in range(100):\n    x = i * i")
    assert "LONGINT_IMPL" in needed("x = 1\nfor i in range(100):\n    x = x * 2")


def test_a_class_with_operators_may_give_any_integer() -> None:
    text = "def f(a):\n    return (a & 255) * 4"
    assert "LONGINT_IMPL" not in needed(text)
    assert "LONGINT_IMPL" in needed(text, "class A:\n    def __and__(self, b):\n        return b")


def test_another_module_may_rebind_a_global() -> None:
    text = "limit = 1\ndef f():\n    return limit * 1000"
    assert "LONGINT_IMPL" not in needed(text)
    assert "LONGINT_IMPL" in needed(text, "import m0\nm0.limit = 5")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("eval('1')", "`eval`"),
        ("exec('1')", "`exec`"),
        ("compile('1', '', 'eval')", "`compile`"),
        ("open('x')", "`open`"),
        ("input()", "`input`"),
        ("def f():\n    return help", "`help`"),
        ("def f(a):\n    return __import__(a)", "`__import__`"),
        ("import numpy", "`import numpy`"),
        ("import os", "`import os`"),
        ("from . import x", "relative import"),
        ("import time\ntime.perf_counter()", "`time.perf_counter`"),
        ("from hashlib import md5", "`hashlib.md5`"),
        ("import sys\nsys.stdout", "`sys.stdout`"),
        ("raise FileNotFoundError()", "`FileNotFoundError`"),
        ("print('x', file=None)", "`print` to a file"),
        ("def f(a, /):\n    pass", "positional-only"),
        ("class A(metaclass=type):\n    pass", "class keyword"),
        ("def f(a):\n    match a:\n        case 1:\n            pass", "`match`"),
    ],
)
def test_what_the_sealed_runtime_lacks_is_an_error_with_its_line(text: str, what: str) -> None:
    message = refused(f"# first line\n{text}")
    assert what in message
    assert re.search(r"m0\.py:[234]: ", message)


def test_refused_names_may_be_the_programs_own() -> None:
    assert of("def open(name):\n    return name\nopen('x')")
    assert of("from enclave import input\ninput('x')")


def test_an_import_whose_failure_is_caught_is_not_refused() -> None:
    assert of("try:\n    import numpy\nexcept ImportError:\n    numpy = None")


def test_typing_under_type_checking_is_not_refused() -> None:
    text = "TYPE_CHECKING = False\nif TYPE_CHECKING:\n    from typing import Any"
    assert of(text)


def test_modules_of_the_appliance_are_found() -> None:
    assert of("import m1\nm1.f()", "def f():\n    pass")


def test_syntax_errors_name_file_and_line() -> None:
    assert "m0.py:2" in refused("x = 1\nx = = 2")


def test_explain_names_file_line_and_construct() -> None:
    text = of("x = 1\ny = {1}\nz = 2.5").explain("set")
    assert text.splitlines() == ["MICROPY_PY_BUILTINS_SET = 1", "  m0.py:2: a set"]
    assert "nothing" in of("x = 1").explain("float")


def test_the_result_does_not_depend_on_the_order_of_modules() -> None:
    first = Source("a", Path("a.py"), b"import b\nx = 1.5")
    second = Source("b", Path("b.py"), b"y = {1}")
    one, other = specialise([first, second]), specialise([second, first])
    assert list(one.switches.items()) == list(other.switches.items())
    assert one.reasons == other.reasons


def _all_switches() -> set[str]:
    names = {*catalogue.OFF_UNLESS_NEEDED, *catalogue.NEEDED, *catalogue.BY_CONSTRUCT}
    tables = [
        catalogue.NAMES,
        catalogue.ATTRIBUTES,
        catalogue.METHODS,
        catalogue.IMPLIES,
        *(module.members for module in library.LIBRARY.values()),
    ]
    for table in tables:
        names |= {name for row in table.values() for name in row}
    names |= set(catalogue.IMPLIES)
    names |= {name for module in library.LIBRARY.values() for name in module.switches}
    return names - {library.ABSENT}


def test_every_switch_exists_in_the_pinned_micropython(tree: Path) -> None:
    known = set(re.findall(r"^#ifndef (MICROPY_\w+)", (tree / "py/mpconfig.h").read_text(), re.M))
    # A port decides these; what they are read by is in the sources.
    for source in (*tree.glob("extmod/mod*.c"), *tree.glob("extmod/machine_*.c")):
        known |= set(re.findall(r"^\s*#if (MICROPY_PY_MACHINE_\w+)", source.read_text(), re.M))
    ours = {"ENCLAVE", "MACHINE_EVENTS", "MACHINE_PIN"}
    unknown = {switch(name) for name in _all_switches()} - known
    assert unknown == {f"MICROPY_PY_{name}" for name in ours}
    modules = ("reader.py", "notes.py", "calls.py", "imports.py", "formats.py", "operators.py")
    text = "".join(Path(catalogue.__file__).with_name(name).read_text() for name in modules)
    start = r"PY|ENABLE|MODULE|BUILTIN|CPYTHON|MULTIPLE|FULL|CAN"
    assert set(re.findall(rf'"((?:{start})_\w+)"', text)) == set(catalogue.BY_CONSTRUCT)
    values = (tree / "py/mpconfig.h").read_text()
    assert all(value in values for value in catalogue.NEEDED.values())


def test_builtin_names_are_those_of_the_pinned_micropython(tree: Path) -> None:
    source = (tree / "py/modbuiltins.c").read_text()
    table = source[source.index("mp_module_builtins_globals_table[]") :]
    found = set(re.findall(r"\{ MP_ROM_QSTR\(MP_QSTR_(\w+)\)", table))
    # What no sealed image has, and what only the REPL uses.
    found -= {"compile", "eval", "exec", "execfile", "help", "input", "open", "__repl_print__"}
    found -= {"ViperTypeError"}
    assert set(catalogue.NAMES) - {"__file__"} == found


@pytest.mark.parametrize(
    "module", [module for module in library.LIBRARY.values() if module.source and module.members]
)
def test_library_members_are_those_of_the_pinned_micropython(
    tree: Path, module: library.LibraryModule
) -> None:
    source = (tree / module.source).read_text()
    start = re.search(
        rf"\b(mp_module_{module.name.lstrip('_')}|{module.name}_module)_globals_table\[\]", source
    )
    assert start is not None
    table = source[start.start() :]
    table = table[: table.index("};")]
    found = set(re.findall(r"^\s*\{ MP_ROM_QSTR\(MP_QSTR_(\w+)\)", table, re.M))
    found -= {"__name__", "__init__"}
    if module.name == "errno":
        found |= set(re.findall(r"X\((E\w+)\)", source))
    if module.name == "machine":
        found |= {"Pin", "Timer"}  # the port's own entries
    if module.name == "sys":
        found |= {"path", "ps1", "ps2", "tracebacklimit"}  # through attribute delegation
    assert set(module.members) == found


def test_special_methods_are_those_of_the_pinned_micropython(tree: Path) -> None:
    source = (tree / "py/objtype.c").read_text()
    gate: list[str] = []
    found: dict[str, set[str]] = {}
    start = source.index("mp_unary_op_method_name[")
    for line in source[start : source.index("static mp_obj_t instance_binary_op")].splitlines():
        if match := re.match(r"\s*#if (\w+)", line):
            gate.append(match[1])
        elif re.match(r"\s*#endif", line):
            gate.pop()
        elif match := re.search(r"= MP_QSTR_(__\w+__)", line):
            found[match[1]] = set(gate)
    assert found
    for name, gates in found.items():
        gates -= {"MICROPY_PY_BUILTINS_FLOAT", "MICROPY_PY_SYS_GETSIZEOF"}
        ours = {switch(row) for row in catalogue.METHODS.get(name, ())}
        assert ours - {"MICROPY_FLOAT_IMPL"} == gates, name
