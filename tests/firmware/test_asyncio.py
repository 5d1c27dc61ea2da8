# SPDX-License-Identifier: Apache-2.0
"""asyncio in an enclave: MicroPython's own, as much of it as is used, waiting in the monitor."""

from __future__ import annotations

import ast
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from firmware.appliance.manifest_file import load
from firmware.appliance.modules import code_digest
from firmware.appliance.problems import ApplianceError
from firmware.bundle.size_tree import size_tree, sources_of
from firmware.compiler.sources import MICROPYTHON, find_tree, find_trees
from firmware.specialiser.asyncio_source import with_asyncio
from firmware.specialiser.features.library import ABSENT, LIBRARY
from firmware.specialiser.freeze import FrozenModule
from firmware.specialiser.program import shrink_appliance
from firmware.specialiser.shrink import shrink
from firmware.specialiser.specialise import Source, Specialisation, specialise
from tests.firmware.builds import REPOSITORY, board
from tests.firmware.vm_rig import build_image
from tests.machine.bench import build_for, running
from tests.qemu import needs_qemu

DOORBELL = REPOSITORY / "examples" / "doorbell"
RINGS = ["the bell rings: 1", "the bell rings: 2", "the bell rings: 3"]
LETTERS = ["in the letter box: a postcard", "in the letter box: a bill"]
READ, LAST = "there is something to read", "nobody comes any more"
# A granted hardware timer interrupts, a virtual one is a matter of when the wait ends.
CLOCK = """\
import asyncio
import enclave
from machine import Timer

flag = asyncio.ThreadSafeFlag()


async def main() -> None:
    for timer in (Timer(1), Timer(-1)):
        timer.init(mode=Timer.ONE_SHOT, period=100, callback=lambda _: flag.set())
        await flag.wait()
        enclave.log("woken")


asyncio.run(main())
"""


def program(text: str) -> tuple[Source, ...]:
    return with_asyncio([Source("main", Path("main.py"), text.encode())])


def specialised(text: str) -> Specialisation:
    sources = program(text)
    shrunk = shrink({source.name: source.text for source in sources})
    return specialise([replace(source, text=shrunk.texts[source.name]) for source in sources])


def check(said: list[str]) -> None:
    """Each task's lines in their order. Who comes first, bell or postman, is the emulator's."""
    assert sorted(said) == sorted([*RINGS, *LETTERS, READ, LAST])
    assert [line for line in said if line in RINGS] == RINGS
    assert [line for line in said if line in LETTERS] == LETTERS
    assert said.index(READ) > said.index(LETTERS[0])
    assert said[-1] == LAST


def names(text: str) -> list[str]:
    return [source.name for source in program(text)]


def test_only_the_parts_that_are_used_are_taken_in() -> None:
    assert names("import time\ntime.sleep(1)\n") == ["main"]
    plain = "import asyncio\nasyncio.run(f())\n"
    assert names(plain) == ["main", "asyncio", "asyncio.core"]
    assert names(plain + "asyncio.Lock()\n") == ["main", "asyncio", "asyncio.core", "asyncio.lock"]
    assert names("from asyncio import wait_for\n")[2:] == ["asyncio.core", "asyncio.funcs"]
    assert len(names("import asyncio\ngetattr(asyncio, x)\n")) == 6, "all, if it cannot be decided"


def test_what_nobody_says_is_cut_out_of_them() -> None:
    sources = program("import asyncio\nasyncio.run(asyncio.sleep_ms(1))\n")
    removed = {each.name for each in shrink({s.name: s.text for s in sources}).removals}
    assert {"sleep", "get_event_loop", "current_task", "TimeoutError"} <= removed
    assert not {"cur_task", "CancelledError", "Loop"} & removed


def test_it_asks_for_no_numbers_and_no_names_that_the_program_does_not_use() -> None:
    found = specialised("import asyncio\nasyncio.run(asyncio.sleep_ms(1))\n")
    for feature in ("FLOAT_IMPL", "LONGINT_IMPL", "CPYTHON_COMPAT", "PY_IO", "PY_BUILTINS_SET"):
        assert f"MICROPY_{feature}" not in found.reasons
    assert "main.py:1: `import asyncio`" in found.explain("asyncio")


def test_its_lines_are_those_of_the_pinned_files() -> None:
    folder = find_tree(MICROPYTHON).path / "extmod" / "asyncio"
    text = "import asyncio\nasyncio.Lock, asyncio.ThreadSafeFlag, asyncio.gather\n"
    for source in program(text)[2:]:
        upstream = (folder / source.path.name).read_bytes()
        assert len(source.text.splitlines()) == len(upstream.splitlines())
        lines = {n.name: n.lineno for n in ast.parse(source.text).body if isinstance(n, _DEFINING)}
        every = [n for n in ast.walk(ast.parse(upstream)) if isinstance(n, _DEFINING)]
        before = {n.name: n.lineno for n in reversed(every)}  # the outermost of a name
        assert lines and all(before[name] == line for name, line in lines.items())


_DEFINING = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def test_its_members_are_those_of_the_pinned_files() -> None:
    everything = program("import asyncio\ngetattr(asyncio, x)\n")[1]
    offered = {
        alias.name
        for node in ast.parse(everything.text).body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    known = LIBRARY["asyncio"].members
    assert offered | {"core"} == {name for name, needs in known.items() if ABSENT not in needs}


@pytest.mark.parametrize(
    "text",
    [
        "import asyncio\nasyncio.open_connection('a', 1)\n",
        "import asyncio\nfrom asyncio import StreamReader\n",
        "import asyncio\nimport asyncio.stream\n",
        "import asyncio\nimport uasyncio\n",
    ],
)
def test_streams_and_the_old_name_are_refused_with_file_and_line(text: str) -> None:
    with pytest.raises(ApplianceError) as caught:
        specialised(text)
    assert caught.value.message.startswith("main.py:2: ")
    assert caught.value.exit_code == 2


def test_a_module_of_that_name_stands_for_itself() -> None:
    main = Source("main", Path("main.py"), b"import asyncio\nasyncio.mine()\n")
    own = Source("asyncio", Path("asyncio.py"), b"def mine(): pass\n")
    assert with_asyncio([main, own]) == (main, own)
    assert "MICROPY_PY_ASYNCIO" not in specialise([main, own]).reasons


def test_it_is_part_of_the_runtime_and_not_of_what_an_owner_signs_for() -> None:
    manifest = load(DOORBELL)
    hall = manifest.modules["hall"]
    assert [module.name for module in hall] == ["hall"]
    assert code_digest(hall) == code_digest(hall[:1])
    assert {"asyncio.core", "asyncio.event"} <= {
        source.name for source in shrink_appliance(manifest).sources
    }


@needs_qemu
def test_a_sleeping_program_sleeps_in_the_monitor(tmp_path: Path) -> None:
    """The stand-in's clock passes with waits: an hour of polling would take the emulator days."""
    text = "import asyncio\nasync def main():\n    await asyncio.sleep_ms(3600000)\n"
    text += "asyncio.run(main())\nprint('an hour')\n"
    sources = program(text)
    modules = [FrozenModule(s.name, s.path, s.text) for s in sources]
    image = build_image(modules, tmp_path, specialise(sources).switches)
    assert image.run() == "an hour\n[exit 0]\n"


@needs_qemu
def test_tasks_wake_for_messages_time_and_interrupts(tmp_path: Path) -> None:
    appliance = tmp_path / "doorbell"
    shutil.copytree(DOORBELL, appliance)
    (appliance / "clock.py").write_text(CLOCK)
    with (appliance / "appliance.toml").open("a") as manifest:
        manifest.write('\n[enclave.clock]\nmodule = "clock.py"\ndevices = ["timer1"]\n')
    bundle = build_for("mps2-an385", appliance, tmp_path)
    with running(bundle, tmp_path) as seen:
        seen.until(lambda log: LAST in log.said("hall") and len(log.said("clock")) == 2)
        check(seen.said("hall"))
        assert seen.said("clock") == ["woken", "woken"]
    sizes = bundle.facts.sizes.model_dump()
    modules = {source.name for source in shrink_appliance(load(appliance)).sources}
    elf = bundle.folder / "elf" / "slot_a.elf"
    groups = {
        g.name: g.size for g in size_tree(elf, sizes, modules, sources_of(board(), find_trees()))
    }
    assert groups["asyncio.core"] > 0 and groups["extmod/modasyncio.c"] > 0
    assert groups["vm/vm_asyncio.c"] > 0


@needs_qemu
@pytest.mark.all
@pytest.mark.parametrize("name", ["mps2-an386", "mps2-an505", "pyboard-v1.1", "rpi-pico"])
def test_the_example_says_the_same_on_every_board(name: str, tmp_path: Path) -> None:
    with running(build_for(name, DOORBELL, tmp_path), tmp_path) as seen:
        seen.until(lambda log: LAST in log.said("hall"))
        check(seen.said("hall"))
