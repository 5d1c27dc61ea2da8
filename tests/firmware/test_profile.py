# SPDX-License-Identifier: Apache-2.0
"""What is for finding mistakes is not in a release, and nothing else changes by that."""

from __future__ import annotations

import ast
import contextlib
import io
from pathlib import Path

import pytest

from firmware.appliance.manifest_file import load
from firmware.appliance.problems import ApplianceError
from firmware.appliance.profile import without_debugging
from firmware.specialiser.program import specialise_appliance
from tests.firmware.builds import HELLO, REPOSITORY

PROGRAM = """\
class enclave:
    debug = print


def check(n):
    assert n, "no n"; print("one"); assert (
        n
    ), f"{n}"; print("two")
    if n == 1:
        assert n
    elif __debug__:
        pass
    if __debug__:
        print("debugging")  # é
    enclave.debug(
        "lines"
    )
    if __debug__:
        kept = n
    return 1


def generate():
    assert (yield 1) is None


print(check(1), list(generate()))
if __debug__: print("never")
"""


def _output(text: str) -> str:
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(text, "x", "exec", optimize=1), {})  # noqa: S102 - the test's own text
    return said.getvalue()


def test_a_release_does_what_python_does_when_it_optimises() -> None:
    text = without_debugging(PROGRAM.encode()).decode()
    assert _output(text) == "one\ntwo\n1 []\n"
    assert _output(PROGRAM) == "one\ntwo\nlines\n1 []\n"  # -O knows nothing of enclave.debug


def test_lines_keep_their_numbers() -> None:
    text = without_debugging(PROGRAM.encode()).decode()
    assert text.count("\n") == PROGRAM.count("\n")
    numbers = [
        {n.name: n.lineno for n in ast.parse(t).body if isinstance(n, ast.FunctionDef)}
        for t in (text, PROGRAM)
    ]
    assert numbers[0] == numbers[1]
    assert "no n" not in text and "debugging" not in text and "never" not in text


def test_what_binds_a_name_or_makes_a_generator_is_left_to_the_compiler() -> None:
    text = without_debugging(PROGRAM.encode()).decode()
    assert "kept = n" in text
    assert "(yield 1)" in text


@pytest.mark.parametrize("text", [b"assert ", b"\xff", b"\xef\xbb\xbfassert 1\n", b"", b"x = 1"])
def test_text_that_cannot_be_changed_safely_is_left_alone(text: bytes) -> None:
    assert without_debugging(text) == text


@pytest.mark.parametrize(
    "path", sorted((REPOSITORY / "examples").rglob("*.py")), ids=lambda p: p.name
)
def test_every_example_parses_as_a_release(path: Path) -> None:
    ast.parse(without_debugging(path.read_bytes()))


def test_a_feature_that_only_an_assertion_needs_is_not_in_a_release(tmp_path: Path) -> None:
    (tmp_path / "appliance.toml").write_text(HELLO.joinpath("appliance.toml").read_text())
    (tmp_path / "hello.py").write_text("x = [2]\nassert 1.5 in x or {1}\n")
    manifest = load(tmp_path)
    assert "MICROPY_PY_BUILTINS_SET" not in specialise_appliance(manifest).reasons
    assert "MICROPY_PY_BUILTINS_SET" in specialise_appliance(manifest.with_profile("debug")).reasons


def test_another_profile_is_told_with_its_line(tmp_path: Path) -> None:
    text = HELLO.joinpath("appliance.toml").read_text()
    (tmp_path / "hello.py").write_text("")
    (tmp_path / "appliance.toml").write_text(
        text.replace("[appliance]", '[appliance]\nprofile = "fast"')
    )
    with pytest.raises(ApplianceError) as caught:
        load(tmp_path)
    assert "appliance.profile: " in caught.value.message
    assert '"release" or "debug"' in caught.value.message
