# SPDX-License-Identifier: Apache-2.0
"""The virtual machine, built for a few modules and run."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from boards.errors import CoffretError
from firmware.compiler.micropython import native_code_switches
from firmware.compiler.object_cache import ObjectCache
from firmware.compiler.toolchain import CORES, zig_toolchain
from firmware.specialiser.freeze import FreezeError
from firmware.specialiser.pruning import names_reached, prune_opcodes, prune_tables
from tests.firmware.vm_rig import MACHINES, Image, build_image
from tests.qemu import needs_qemu

HELLO = {"hello": 'print("hello, world")\n'}
WITH_TIME_AND_CHANNELS = {"MICROPY_PY_TIME": "1", "MICROPY_PY_ENCLAVE": "1"}


@pytest.fixture(scope="module")
def hello(tmp_path_factory: pytest.TempPathFactory) -> Image:
    return build_image(HELLO, tmp_path_factory.mktemp("hello"))


def run(tmp_path: Path, text: str, switches: dict[str, str] | None = None, **more: str) -> str:
    return build_image({"main": text, **more}, tmp_path, switches).run()


@needs_qemu
@pytest.mark.parametrize("core", MACHINES)
def test_hello_prints_its_line_on_every_core(core: str, tmp_path: Path) -> None:
    assert build_image(HELLO, tmp_path, core=core).run() == "hello, world\n[exit 0]\n"


def test_hello_takes_less_than_thirty_kib(hello: Image) -> None:
    assert hello.size(".text") < 30 * 1024
    # It is copied whenever the monitor switches enclaves.
    assert hello.size(".bss") < 512


def test_there_is_no_initialised_data(hello: Image) -> None:
    assert hello.size(".data") == 0


def test_nothing_that_compiles_python_is_in_the_image(hello: Image) -> None:
    compiler = {"mp_compile", "mp_parse", "mp_lexer_new", "mp_builtin_eval_obj", "pyexec_event"}
    assert not compiler & hello.symbols()


def test_the_digest_of_a_module_is_that_of_its_mpy(hello: Image, tmp_path: Path) -> None:
    again = build_image(HELLO, tmp_path)
    mpy = (tmp_path / "vm/mpy/hello.mpy").read_bytes()
    assert again.vm.module_digests == {"hello": hashlib.sha256(mpy).digest()}
    assert again.vm.module_digests == hello.vm.module_digests


@pytest.mark.all  # test_reproducible.py builds a whole appliance so
def test_two_directories_and_caches_give_the_same_bytes(hello: Image, tmp_path: Path) -> None:
    fresh = zig_toolchain(tmp_path / "another cache")
    image = build_image(HELLO, tmp_path / "deeper" / "directory", toolchain=fresh)
    assert image.elf.read_bytes() == hello.elf.read_bytes()


def test_no_place_of_this_machine_is_in_the_objects(hello: Image) -> None:
    for path in (*hello.vm.objects, hello.elf):
        data = path.read_bytes()
        for place in (Path.home(), Path(__file__).parents[2], hello.elf.parent):
            assert str(place).encode() not in data


def test_editing_a_module_compiles_that_module_only(tmp_path: Path) -> None:
    cache = ObjectCache(tmp_path / "cache" / "objects")
    toolchain = zig_toolchain(tmp_path / "cache")
    build_image(HELLO, tmp_path, toolchain=toolchain)
    before = set(cache.directory.rglob("*.o"))
    build_image({"hello": 'print("hello, moon")\n'}, tmp_path, toolchain=toolchain)
    # The frozen code, and the whole-program object.
    assert len(set(cache.directory.rglob("*.o")) - before) == 2


@needs_qemu
def test_an_uncaught_exception_is_logged_with_its_lines_and_faults(tmp_path: Path) -> None:
    text = "import other\nprint('no end', end='')\nother.crash(5)\n"
    other = "def crash(x):\n    return x // 0\n"
    assert run(tmp_path, text, other=other).splitlines() == [
        "no end",
        "Traceback (most recent call last):",
        '  File "main.py", line 3, in <module>',
        '  File "other.py", line 2, in crash',
        "ZeroDivisionError: divide by zero",
        "[fault 16]",
    ]


@needs_qemu
def test_running_out_of_heap_is_a_fault_of_its_own(tmp_path: Path) -> None:
    text = "keep = []\nwhile True:\n    keep = [keep, 1]\n"
    assert run(tmp_path, text).splitlines()[-1] == "[fault 17]"


@needs_qemu
def test_system_exit_is_no_fault(tmp_path: Path) -> None:
    assert run(tmp_path, "raise SystemExit\n").splitlines() == ["[exit 0]"]


@needs_qemu
def test_deep_recursion_is_an_exception_not_a_crash(tmp_path: Path) -> None:
    text = """def down(n):
    return down(n + 1)
try:
    down(0)
except RuntimeError as error:
    print(error)
"""
    assert run(tmp_path, text).splitlines()[0] == "maximum recursion depth exceeded"


@needs_qemu
def test_garbage_is_collected(tmp_path: Path) -> None:
    text = """class Node:
    def __init__(self, value):
        self.value = value
kept = [Node(i) for i in range(20)]
for i in range(3000):
    junk = ["x" * (i % 40), Node(i), {i: i}]
print(sum(node.value for node in kept))
"""
    assert run(tmp_path, text).splitlines() == ["190", "[exit 0]"]


@needs_qemu
def test_a_long_line_is_logged_in_pieces_of_the_log_entry(tmp_path: Path) -> None:
    lines = run(tmp_path, "print('x' * 250)\n").splitlines()
    assert lines == ["x" * 120, "x" * 120, "x" * 10, "[exit 0]"]


@needs_qemu
def test_imports_of_frozen_modules(tmp_path: Path) -> None:
    text = """import one, two
from one import NAME
print(one is two.one, NAME, __name__, one.__name__)
for _ in range(2):
    try:
        import broken
    except ZeroDivisionError:
        print("broken")
try:
    import nowhere
except ImportError as error:
    print(error)
"""
    more = {"one": "print('once')\nNAME = 1\n", "two": "import one\n", "broken": "1 // 0\n"}
    assert run(tmp_path, text, None, **more).splitlines() == [
        "once",
        "True 1 __main__ one",
        "broken",
        "broken",
        "no module named 'nowhere'",
        "[exit 0]",
    ]


@needs_qemu
def test_time_passes_by_system_calls(tmp_path: Path) -> None:
    text = """import time
start = time.ticks_ms()
time.sleep_ms(250)
time.sleep(1)
time.sleep_us(2500)
print(time.ticks_diff(time.ticks_ms(), start))
"""
    assert run(tmp_path, text, WITH_TIME_AND_CHANNELS).splitlines()[0] == "1252"


@needs_qemu
def test_channels_by_their_names(tmp_path: Path) -> None:
    text = """import enclave
print(enclave.name())
echo, me = enclave.output("echo"), enclave.input("me")
gate, gated = enclave.gate("gate"), enclave.input("gated")
print(echo.name, echo.size, me.name, gate.name, gate.size)
print(me.receive(), enclave.wait(me, timeout_ms=5))
print(echo.send(b"one"), echo.send(b"two"))
print(enclave.wait(gated, me) is me, me.receive(), me.receive())
print(gate.release(b"ab"), gated.receive(), enclave.wait(timeout_ms=0))
print(echo.send(bytearray(8)), len(me.receive()), isinstance(me, enclave.Input))
"""
    switches = {**WITH_TIME_AND_CHANNELS, "MICROPY_PY_BUILTINS_BYTEARRAY": "1"}
    assert run(tmp_path, text, switches).splitlines() == [
        "harness",
        "echo 16 me gate 4",
        "None None",
        "True False",
        "True b'one' None",
        "True b'ab' None",
        "True 8 True",
        "[exit 0]",
    ]


@needs_qemu
def test_a_privilege_is_used_by_its_own_name_only(tmp_path: Path) -> None:
    wrong = {
        'enclave.output("nobody")': "no such channel",
        'enclave.output("gate")': "no such channel",
        'enclave.gate("echo")': "no such channel",
        'enclave.input("echo")': "no such channel",
        'enclave.output("echo").send(b"")': "message size",
        'enclave.output("echo").send(b"x" * 17)': "message size",
    }
    tries = [f"try:\n    {call}\nexcept ValueError as error:\n    print(error)\n" for call in wrong]
    text = "\n".join(["import enclave", *tries, 'enclave.output("nobody")\n'])
    lines = run(tmp_path, text, WITH_TIME_AND_CHANNELS).splitlines()
    assert [line for line in lines if line in wrong.values()] == list(wrong.values())
    assert lines[-2:] == ["ValueError: no such channel", "[fault 16]"]


@needs_qemu
@pytest.mark.parametrize(
    "core",
    [
        core if core == "cortex_m3" else pytest.param(core, marks=pytest.mark.all)
        for core in MACHINES
    ],
)
def test_native_code_reads_memory_and_raises(core: str, tmp_path: Path) -> None:
    text = """import micropython
@micropython.viper
def poke(address: int, value: int) -> int:
    memory = ptr32(address)
    memory[0] = value
    return memory[0] + 1
@micropython.native
def total(n):
    result = 0
    for i in range(n):
        result += i
    return result
@micropython.native
def fails():
    return {}["key"]
print(poke(0x20107F00, 41), total(100))
try:
    fails()
except KeyError as error:
    print("KeyError", error)
poke(0x3FFFFF00, 1)
"""
    switches = {**native_code_switches(CORES[core]), "MICROPY_PY_MICROPYTHON": "1"}
    image = build_image({"main": text}, tmp_path, switches, core=core)
    assert image.run().splitlines() == ["42 4950", "KeyError key", "[hardfault]"]


@needs_qemu
def test_floats_and_long_integers(tmp_path: Path) -> None:
    text = """import math
print(2**70, -7 // 2, 0x40004000, int("12345678901234567890"))
print(1.5 * 3, math.sqrt(2), "%.3f" % math.pi, math.sin(0.5), 1e30, float("0.1"))
"""
    switches = {
        "MICROPY_LONGINT_IMPL": "MICROPY_LONGINT_IMPL_MPZ",
        "MICROPY_FLOAT_IMPL": "MICROPY_FLOAT_IMPL_FLOAT",
        "MICROPY_PY_BUILTINS_COMPLEX": "0",
        "MICROPY_PY_BUILTINS_STR_OP_MODULO": "1",
        "MICROPY_PY_MATH": "1",
    }
    assert run(tmp_path, text, switches).splitlines() == [
        "1180591620717411303424 -4 1073758208 12345678901234567890",
        "4.5 1.414214 3.142 0.4794255 1e+30 0.1",
        "[exit 0]",
    ]


def test_a_constant_that_does_not_fit_names_its_module(tmp_path: Path) -> None:
    with pytest.raises(FreezeError, match=r"big\.py: target does not support long int"):
        build_image({**HELLO, "big": "ADDRESS = 0x40004000\n"}, tmp_path)


def test_a_syntax_error_names_file_and_line(tmp_path: Path) -> None:
    with pytest.raises(FreezeError, match=r"hello\.py:2: SyntaxError") as caught:
        build_image({"hello": "x = 1\nif x\n"}, tmp_path)
    assert isinstance(caught.value, CoffretError)
    assert caught.value.exit_code == 2


@needs_qemu
def test_pruning_changes_the_size_and_not_the_output(tmp_path: Path) -> None:
    text = """def squares(n):
    for i in range(n):
        yield i * i
class Box:
    def __init__(self, inside):
        self.inside = inside
    def __repr__(self):
        return "Box({})".format(self.inside)
print(Box([1]), list(squares(4)), sorted({3: 1, 2: 1}), "a-b".split("-"), "abc".replace("b", "x"))
try:
    [].pop()
except IndexError as error:
    print(error)
"""
    whole = build_image({"main": text}, tmp_path / "whole", prune=False)
    pruned = build_image({"main": text}, tmp_path / "pruned")
    assert pruned.run() == whole.run()
    assert "Box([1]) [0, 1, 4, 9] [2, 3] ['a', 'b'] axc" in pruned.run()
    assert whole.size(".text") - pruned.size(".text") > 8 * 1024
    assert "str_replace_obj" in pruned.symbols()
    assert "str_join_obj" in whole.symbols() - pruned.symbols()


@needs_qemu
def test_an_attribute_named_by_a_string_stays(tmp_path: Path) -> None:
    text = 'print(getattr("a b", "startswith")("a"), hasattr([], "appendix"))\n'
    assert run(tmp_path, text).splitlines() == ["True False", "[exit 0]"]


@needs_qemu
def test_a_computed_attribute_keeps_them_all(tmp_path: Path) -> None:
    text = 'print(getattr(" x ", "st" + "rip")())\n'
    assert run(tmp_path, text).splitlines() == ["x", "[exit 0]"]


def test_what_reaches_attributes_dynamically() -> None:
    assert names_reached([b"getattr(x, 'y')\nhasattr(x, 'z')\n"]) == frozenset("yz")
    assert names_reached([b"x.y\n", b"'getattr'\n"]) == frozenset()
    for text in (b"getattr(x, y)", b"f = getattr", b"dir(x)", b"x.__dict__", b"map(setattr, x)"):
        assert names_reached([b"pass\n", text]) is None


def test_pruning_takes_whole_lines_of_tables_only() -> None:
    text = (
        "    { MP_ROM_QSTR(MP_QSTR_used), MP_ROM_PTR(&used_obj) },\n"
        "    { MP_ROM_QSTR(MP_QSTR_other), MP_ROM_PTR(&other_obj) },\n"
        "    { MP_ROM_QSTR(MP_QSTR___enter__), MP_ROM_PTR(&enter_obj) },\n"
        "    foo(MP_ROM_QSTR(MP_QSTR_other));\n"
    )
    kept = prune_tables(text, {"used"})
    assert kept == text.replace(text.splitlines()[1], "")
    text = "switch (*ip++) { ENTRY(MP_BC_A): ENTRY(MP_BC_B):"
    kept = "switch (*ip++) { goto opcode_B;  ENTRY(MP_BC_B): opcode_B:;"
    assert prune_opcodes(text, {"B"}) == kept
