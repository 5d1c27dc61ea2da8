# SPDX-License-Identifier: Apache-2.0
"""A fault on a board becomes the traceback that CPython prints for the same program."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from elftools.elf.elffile import ELFFile

from firmware.bundle.trace import Entry, traces
from firmware.specialiser.mpy import MpyFormatError, functions_of
from flasher.logs import Dump
from flasher.trace_cli import trace_command
from tests.firmware.faulted import Faulted, run_until_stopped, write_source
from tests.machine.bench import build_for, running
from tests.qemu import needs_qemu

MANIFEST = """
[appliance]
name = "crash"
version = "1.0.0"

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
"""
ONE = """\
import enclave
import deep


def start(n: int) -> None:
    assert n > 0, "an assertion"
    enclave.debug("debugging")
    if __debug__:
        enclave.log("more of it")
    try:
        deep.middle(n)
    finally:
        enclave.log("at last")


a = lambda: 1 // 0
b = lambda: 1 // 0
try:
    b()
except ZeroDivisionError:
    enclave.log("divided")
start(4)
"""
DEEP = """\
class Sensor:
    def read(self, n: int) -> int:
        values = [1, 2, 3]
        return values[n]


def middle(n: int) -> int:
    sensor = Sensor()
    for _ in range(3):
        n = n + 1
    return sensor.read(n) + 1
"""
KEEPER = """\
import enclave

enclave.log("never seen")
raise ValueError("nor this")
"""
# What stands in for the board's module where CPython runs the program.
STAND_IN = "def log(text): pass\ndef debug(text): pass\n"


@pytest.fixture(scope="module")
def crash(tmp_path_factory: pytest.TempPathFactory) -> Faulted:
    folder = tmp_path_factory.mktemp("crash")
    write_source(folder / "source", MANIFEST, {"one": ONE, "deep": DEEP, "keeper": KEEPER})
    return run_until_stopped(folder / "source", folder, 2)


def cpythons(source: Path, folder: Path) -> str:
    """The traceback of CPython, whose files have no folder in their names here."""
    shutil.copytree(source, folder)
    (folder / "enclave.py").write_text(STAND_IN)
    command = [sys.executable, "-O", "-X", "no_debug_ranges", str(folder / "one.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stderr.replace(f"{folder}/", "")


@needs_qemu
def test_an_uncaught_exception_is_told_as_cpython_tells_it(crash: Faulted, tmp_path: Path) -> None:
    said = crash.trace("--source", crash.source)
    assert said.exit_code == 0, said.output
    wanted = cpythons(crash.source, tmp_path / "host")
    assert wanted.count("  File ") == 4
    assert wanted in said.stdout
    document = json.loads(crash.trace("--json").stdout)
    (one,) = [each for each in document if each["who"] == "one"]
    assert [(f["file"], f["line"], f["function"]) for f in one["frames"]] == [
        ("one.py", 22, "<module>"),
        ("one.py", 11, "start"),
        ("deep.py", 11, "middle"),
        ("deep.py", 4, "read"),
    ]


@needs_qemu
def test_what_a_labelled_enclave_did_is_not_in_the_log(crash: Faulted) -> None:
    entries = Dump.load(crash.log).entries
    assert [entry for entry in entries if entry.who == "keeper"] == []
    (keeper,) = [e for e in json.loads(crash.trace("--json").stdout) if e["who"] == "keeper"]
    assert (keeper["frames"], keeper["said"]) == ([], ["fault keeper exception"])


@needs_qemu
def test_a_changed_source_is_not_shown(crash: Faulted, tmp_path: Path) -> None:
    copy = tmp_path / "changed"
    shutil.copytree(crash.source, copy)
    (copy / "deep.py").write_text("#\n" + DEEP)
    said = crash.trace("--source", copy).stdout
    assert "    start(4)" in said
    assert "values[n]" not in said


@needs_qemu
def test_another_images_log_and_another_images_symbols_are_refused(
    crash: Faulted, tmp_path: Path
) -> None:
    other = tmp_path / "source"
    shutil.copytree(crash.source, other)
    (other / "one.py").write_text(ONE.replace("start(4)", "start(5)"))
    bundle = build_for("mps2-an385", other, tmp_path)
    wrong = crash.trace(bundle=bundle.folder)
    assert wrong.exception is not None and "none of this bundle" in str(wrong.exception)
    assert wrong.exception.exit_code == 1  # type: ignore[attr-defined]
    mixed = tmp_path / "mixed"
    shutil.copytree(crash.bundle.folder, mixed)
    shutil.copy(bundle.folder / "symbols.json", mixed)
    swapped = crash.trace(bundle=mixed)
    assert swapped.exception is not None and "not the file that was built" in str(swapped.exception)
    assert swapped.exception.exit_code == 1  # type: ignore[attr-defined]


@pytest.mark.all
@needs_qemu
def test_an_image_has_no_lines_and_no_assertions_unless_it_is_for_debugging(
    crash: Faulted, tmp_path: Path
) -> None:
    debugging = tmp_path / "source"
    shutil.copytree(crash.source, debugging)
    text = MANIFEST.replace('version = "1.0.0"', 'version = "1.0.0"\nprofile = "debug"')
    (debugging / "appliance.toml").write_text(text)
    bundle = build_for("mps2-an385", debugging, tmp_path)
    with running(bundle, tmp_path) as board:
        board.until(lambda it: any("stopped one" in text for text in it.said("monitor")))
        said = board.said("one")
    release, debug = (
        [each.folder.joinpath(name).read_bytes() for name in ("slot_a.bin", "slot_b.bin")]
        for each in (crash.bundle, bundle)
    )
    for text_of_debugging in (b"an assertion", b"debugging", b"more of it"):
        assert not any(text_of_debugging in image for image in release)
        assert all(text_of_debugging in image for image in debug)
    entries = [e.text for e in Dump.load(crash.log).entries if e.who == "one"]
    plain = [t for t in said if t not in ("debugging", "more of it") and not t.startswith("  ")]
    assert plain == [t for t in entries if not t.startswith("  ")]
    assert '  File "deep.py", line 4, in read' in said
    assert bundle.facts.profile == "debug"
    assert bundle.facts.reference.runtime != crash.bundle.facts.reference.runtime
    provenance = bundle.folder.joinpath("provenance.intoto.jsonl").read_text()
    assert provenance != crash.bundle.folder.joinpath("provenance.intoto.jsonl").read_text()
    refused = CliRunner().invoke(trace_command, [str(bundle.folder), "--log", str(crash.log)])
    assert "none of this bundle" in str(refused.exception)


@needs_qemu
def test_places_that_are_none_and_text_that_is_made_up_do_no_harm(crash: Faulted) -> None:
    symbols = crash.symbols()
    image, elf = symbols.images[0], crash.bundle.folder / "elf" / "slot_a.elf"
    texts = ("Traceback (most recent call last):", "  at ffffffff", "  at 0", "  at zz", "Oh", "No")
    (made_up,) = traces([Entry(1, "one", text) for text in texts], image, symbols, elf)
    assert [frame.file for frame in made_up.frames] == [None, None]
    assert made_up.said == ("  at zz",)
    assert traces([], image, symbols, elf) == ()


@needs_qemu
def test_a_fault_of_the_processor_names_the_function_in_c(crash: Faulted) -> None:
    symbols = crash.symbols()
    elf = crash.bundle.folder / "elf" / "slot_a.elf"
    nm = {}
    with elf.open("rb") as stream:
        for each in ELFFile(stream).get_section_by_name(".symtab").iter_symbols():
            nm[each.name] = each["st_value"] & ~1
    entry = Entry(5, "monitor", f"fault one usage {nm['vm_main'] + 2:#010x}")
    (fault,) = traces([entry], symbols.images[0], symbols, elf)
    assert list(fault.lines()) == ["  in vm_main+0x2", entry.text]


def test_a_cut_mpy_file_is_refused() -> None:
    with pytest.raises(MpyFormatError):
        functions_of(b"M\x06\x00\x1f\x05", [])
    with pytest.raises(MpyFormatError):
        functions_of(b"", [])
