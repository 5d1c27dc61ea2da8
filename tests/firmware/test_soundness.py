# SPDX-License-Identifier: Apache-2.0
"""A program on a runtime that was specialised for it says what CPython says.

`programs.txt` has the programs. Each image is built with exactly the switches that the specialiser
chose for what is in it, so a feature that was wrongly cut shows as a wrong line or a fault.
"""

from __future__ import annotations

import random
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from firmware.specialiser.features.catalogue import (
    ATTRIBUTES,
    BY_CONSTRUCT,
    METHODS,
    NAMES,
    NEEDED,
    OFF_UNLESS_NEEDED,
    switch,
)
from firmware.specialiser.features.library import ABSENT, LIBRARY, LibraryModule
from firmware.specialiser.shrink import shrink
from firmware.specialiser.specialise import Source, specialise
from tests.firmware.vm_rig import build_image
from tests.qemu import needs_qemu

pytestmark = needs_qemu

PROGRAMS = Path(__file__).with_name("programs.txt")


def programs() -> dict[str, list[str]]:
    """Texts by group."""
    groups: dict[str, list[str]] = {}
    for block in PROGRAMS.read_text().split("\n== ")[1:]:
        name, _, body = block.partition("\n")
        groups[name] = [text.strip("\n") for text in body.split("\n--\n")]
    return groups


def filled(text: str, choose: random.Random) -> str:
    """A program with its placeholders filled."""
    for word in ("NUM", "OTHER"):
        text = re.sub(rf"\b{word}\b", str(choose.randrange(2, 40)), text)
    for word in ("TEXT", "MORE"):
        letters = "".join(choose.choice("abcnortz") for _ in range(choose.randrange(1, 8)))
        text = text.replace(word, letters)
    return text


def on_the_board(
    texts: Sequence[str], folder: Path, *, everything: bool = False
) -> dict[int, list[str]]:
    """What each program prints, by its number, on a VM specialised for all of them together.

    Or on one with `everything` that the specialiser knows of.
    """
    modules = {"main": "\n".join(f"print('#{n}')\nimport p{n}" for n in range(len(texts)))}
    modules |= {f"p{number}": text + "\n" for number, text in enumerate(texts)}
    if everything:
        image = build_image(modules, folder, all_switches(), prune=False)
    else:
        shrunk = shrink({name: text.encode() for name, text in modules.items()})
        sources = [Source(name, Path(f"{name}.py"), text) for name, text in shrunk.texts.items()]
        compiled = {name: text.decode() for name, text in shrunk.compiled.items()}
        image = build_image(compiled, folder, specialise(sources).switches)
    return by_number(image.run().splitlines())


def all_switches() -> dict[str, str]:
    """Every feature that a sealed image can have."""
    tables = [ATTRIBUTES, METHODS, NAMES, *(module.members for module in LIBRARY.values())]
    names = {name for table in tables for needs in table.values() for name in needs}
    names |= set(BY_CONSTRUCT)
    names |= {name for module in LIBRARY.values() for name in module.switches}
    off = {switch(name): "0" for name in OFF_UNLESS_NEEDED}
    return off | {switch(name): NEEDED.get(name, "1") for name in names - {ABSENT}}


def under_cpython(texts: Sequence[str]) -> dict[int, list[str]]:
    """The same under this Python."""
    found: dict[int, list[str]] = {}
    for number, text in enumerate(texts):
        command = [sys.executable, "-I", "-X", "utf8", "-c", text]
        result = subprocess.run(command, capture_output=True, check=False, encoding="utf-8")
        assert result.returncode == 0, f"{text}\n{result.stderr}"
        found[number] = result.stdout.splitlines()
    return found


def by_number(lines: Sequence[str]) -> dict[int, list[str]]:
    """Lines after each mark `#N`; the harness's own last line is left out."""
    found: dict[int, list[str]] = {}
    current: list[str] = []
    for line in lines:
        if re.fullmatch(r"#\d+", line):
            current = found.setdefault(int(line[1:]), [])
        elif line != "[exit 0]":
            current.append(line)
    return found


def check(texts: Sequence[str], folder: Path) -> None:
    """Fails with the first program that differs from CPython, unless MicroPython itself does."""
    found: Mapping[int, list[str]] = on_the_board(texts, folder / "specialised")
    expected = under_cpython(texts)
    if found != expected:
        # How a text with a quote in it is shown, for one.
        whole = on_the_board(texts, folder / "whole", everything=True)
        for number, text in enumerate(texts):
            assert found.get(number) in (expected[number], whole.get(number)), text


# Groups in one image here have little in common, and little that one could need of the other.
@pytest.mark.parametrize(
    "groups",
    [
        ("arithmetic", "strings", "lists"),
        ("slices", "formats", "bytes", "sets"),
        ("large integers", "dictionaries", "functions", "generators"),
        ("classes", "operators", "exceptions"),
        ("floats", "math", "struct", "unicode"),
    ],
    ids=lambda groups: groups[0],
)
def test_programs_print_the_same_on_a_specialised_runtime(
    groups: tuple[str, ...], tmp_path: Path
) -> None:
    choose = random.Random(repr(groups))
    check([filled(text, choose) for group in groups for text in programs()[group]], tmp_path)


@pytest.mark.all
@pytest.mark.parametrize(
    ("group", "number"),
    [(group, number) for group, texts in programs().items() for number in range(len(texts))],
)
def test_a_program_alone_prints_the_same(group: str, number: int, tmp_path: Path) -> None:
    check([filled(programs()[group][number], random.Random(number))], tmp_path)


# The stand-in has no board and takes no modules of asyncio's own: tests/machine, test_asyncio.py.
_NOT_HERE = ("machine", "asyncio")


@pytest.mark.all
@pytest.mark.parametrize(
    "module",
    [module for module in LIBRARY.values() if module.members and module.name not in _NOT_HERE],
    ids=lambda module: module.name,
)
def test_every_member_of_a_library_module_is_there(module: LibraryModule, tmp_path: Path) -> None:
    members = [name for name, needs in module.members.items() if ABSENT not in needs]
    text = (
        f"import {module.name}\nprint([{', '.join(f'{module.name}.{m}' for m in members)}] != 0)\n"
    )
    switches = specialise([Source("main", Path("main.py"), text.encode())]).switches
    assert build_image({"main": text}, tmp_path, switches).run() == "True\n[exit 0]\n"


@pytest.mark.all
@settings(
    max_examples=30,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_random_mixtures_print_the_same(data: st.DataObject, tmp_path: Path) -> None:
    # Ten programs an image; programs of few groups, so that few features are there by chance.
    groups = data.draw(st.lists(st.sampled_from(sorted(programs())), min_size=1, max_size=3))
    known = [text for group in groups for text in programs()[group]]
    texts = []
    for _ in range(10):
        parts = data.draw(st.lists(st.sampled_from(known), min_size=1, max_size=3, unique=True))
        choose = random.Random(data.draw(st.integers(0, 2**16)))
        # A star import is legal at the top of a module only.
        parts = [part for part in parts if "import *" not in part] or parts[:1]
        texts.append("\n".join(filled(part, choose) for part in parts))
    check(texts, tmp_path)
