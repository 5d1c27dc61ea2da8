# SPDX-License-Identifier: Apache-2.0
"""A fault of the processor in a debug image is told with the Python frames that led to it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

import boards
from firmware.appliance.manifest_file import load
from firmware.bundle.symbols import native_functions
from firmware.bundle.trace import Entry, traces
from firmware.planning.monitor_features import EVERYTHING, constants
from firmware.planning.planner import make_plan
from flasher.logs import Dump
from tests.firmware.faulted import Faulted, run_until_stopped, write_source
from tests.qemu import needs_qemu

MANIFEST = """
[appliance]
name = "wild"
version = "1.0.0"
profile = "debug"

[owner.alice]
key = "alice.pem"

[tag.secret]
says = "a secret"
owner = ["alice"]

[enclave.one]
module = "one.py"
restart = "never"

[enclave.keeper]
module = "keeper.py"
sees = ["secret"]
restart = "never"

[enclave.liar]
module = "liar.py"
restart = "never"

[enclave.loop]
module = "loop.py"
restart = "never"
"""
ONE = """\
import deep


def start(n: int) -> None:
    for each in deep.pokes(n):
        print(each)


start(1)
"""
DEEP = """\
import micropython


@micropython.viper
def poke(address: int) -> int:
    place = ptr32(address)  # type: ignore[name-defined]
    place[0] = 1
    return 0


def pokes(n: int):
    yield "a generator's frame is one"
    try:
        raise ValueError(n)
    except ValueError:
        pass
    yield poke((n + 1) << 28)
"""
KEEPER = """\
import deep


for each in deep.pokes(1):
    pass
"""
# These two find where the chain of frames begins, which the test tells them, and forge it.
FORGER = """\
import micropython


@micropython.viper
def forge(first: int, here: int, place: int, outer: int) -> int:
    words = ptr32(here)  # type: ignore[name-defined]
    words[0] = outer
    words[1] = place
    head = ptr32(first)  # type: ignore[name-defined]
    head[0] = here
    wild = ptr32(0x20000000)  # type: ignore[name-defined]
    return int(wild[0])


forge({first}, {here}, {place}, {outer})
"""


def frames(wild: Faulted, who: str) -> list[dict[str, Any]]:
    """The Python frames of an enclave's fault."""
    (found,) = [each for each in json.loads(told(wild, "--json")) if each["who"] == who]
    return list(found["frames"])


def told(wild: Faulted, *words: object) -> str:
    """What `coffret trace` says, which must end well."""
    done = wild.trace(*words)
    assert done.exit_code == 0, done.output
    return done.stdout


def entry(wild: Faulted, who: str) -> str:
    """The monitor's words on the fault of an enclave."""
    (found,) = [
        each.text
        for each in Dump.load(wild.log).entries
        if each.who == "monitor" and each.text.startswith(f"fault {who} ")
    ]
    return found


@pytest.fixture(scope="module")
def wild(tmp_path_factory: pytest.TempPathFactory) -> Faulted:
    folder = tmp_path_factory.mktemp("wild")
    source = folder / "source"
    texts = {"one": ONE, "deep": DEEP, "keeper": KEEPER, "liar": "", "loop": ""}
    write_source(source, MANIFEST, texts)
    plan = make_plan(load(source / "appliance.toml"), boards.load("mps2-an385"))
    heaps = {name: plan.task(name).heap for name in ("keeper", "liar", "loop")}
    own, others = heaps["liar"], heaps["keeper"]
    assert own is not None and others is not None
    last = own.base + own.size - 8
    forged = FORGER.format(first=own.base, here=last, place=others.base, outer=last)
    (source / "liar.py").write_text(forged)
    own = heaps["loop"]
    assert own is not None
    last = own.base + own.size - 8
    forged = FORGER.format(first=own.base, here=last, place=last + 4, outer=last)
    (source / "loop.py").write_text(forged)
    return run_until_stopped(source, folder, 4)


@needs_qemu
def test_each_frame_has_its_file_line_and_function(wild: Faulted) -> None:
    assert [(f["file"], f["line"], f["function"]) for f in frames(wild, "one")] == [
        ("one.py", 9, "<module>"),
        ("one.py", 5, "start"),
        ("deep.py", 17, "pokes"),
        ("deep.py", 5, "poke"),
    ]
    text = told(wild, "--source", wild.source)
    assert "    yield poke((n + 1) << 28)\n" in text
    assert "fault one memory 0x20000000 at " in text


@needs_qemu
def test_a_labelled_enclaves_frames_stay_with_it(wild: Faulted) -> None:
    assert entry(wild, "keeper") == "fault keeper memory"


@needs_qemu
def test_a_forged_chain_tells_nothing_of_another_enclave(wild: Faulted) -> None:
    """Its one frame keeps its place in the labelled enclave's memory: only the processor's own
    instruction is told.
    """
    assert re.fullmatch(r"fault liar memory 0x20000000 at [0-9a-f]+", entry(wild, "liar"))


@needs_qemu
def test_a_chain_that_ends_in_itself_is_followed_as_far_as_an_entry_goes(wild: Faulted) -> None:
    first, *rest = entry(wild, "loop").partition(" at ")[2].split()
    assert len(rest) > 5 and len(set(rest)) == 1 and first not in rest
    assert len(entry(wild, "loop")) <= 120
    # Whatever it claims is no function of the image, and said to be none.
    found = frames(wild, "loop")
    assert [f["file"] for f in found] == [None] * len(rest) + ["loop.py"]


def test_a_release_image_knows_nothing_of_frames() -> None:
    assert constants(EVERYTHING)["COFFRET_TELLS_FRAMES"] == "0"
    assert constants(EVERYTHING, profile="debug")["COFFRET_TELLS_FRAMES"] == "1"


def test_native_functions_have_the_lines_of_the_text_or_none() -> None:
    text = b"import micropython\n\n\n@micropython.native\ndef f(n):\n    return lambda: n\n"
    head = "// frozen native code for file a/b.py, scope x\nstatic const byte "
    tail = " __attribute__((section)) = {\n    0x01,0x02, // 0x03,\n};\n"
    frozen = f"{head}fun_data_f[2]{tail}{head}fun_data_f_lambda[2]{tail}"
    found = native_functions("a/b.py", text, frozen)
    assert [(each.symbol, each.function.name, each.function.lines) for each in found] == [
        ("fun_data_f", "f", ((0, 5),)),
        ("fun_data_f_lambda", "<lambda>", ((0, 6),)),
    ]
    assert {each.function.data for each in found} == {b"\x01\x02"}
    assert native_functions("a/b.py", text, frozen + f"{head}fun_data_g[2]{tail}") == ()
    assert native_functions("b.py", text, frozen) == ()


@needs_qemu
def test_an_entry_with_made_up_places_does_no_harm(wild: Faulted) -> None:
    symbols = wild.symbols()
    elf = wild.bundle.folder / "elf" / "slot_a.elf"
    texts = ("fault one memory 0x0 at 0 ffffffff", "fault one usage 0x1", "fault one bus at zz")
    log = [Entry(1, "monitor", text) for text in texts]
    found = traces(log, symbols.images[0], symbols, elf)
    assert [[frame.file for frame in each.frames] for each in found] == [[None], [], []]
