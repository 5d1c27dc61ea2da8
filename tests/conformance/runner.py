# SPDX-License-Identifier: Apache-2.0
"""Runs tests on the virtual machine: many modules in an image, each started by itself.

The image is specialised for exactly the modules in it, as an appliance's would be.
"""

from __future__ import annotations

import enum
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from boards.errors import CoffretError
from firmware.compiler.micropython import native_code_switches
from firmware.compiler.toolchain import CORES
from firmware.specialiser.asyncio_source import with_asyncio
from firmware.specialiser.freeze import FrozenModule
from firmware.specialiser.shrink import shrink
from firmware.specialiser.specialise import specialise
from tests.conformance.suite import Case, agrees, reason_for, reasons
from tests.firmware.vm_rig import Image, build_image

HEAP = 256 * 1024


class Result(enum.Enum):
    """How a test ended."""

    PASS = "pass"
    FAIL = "fail"
    NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A test's result, and why it is not `pass`."""

    case: Case
    result: Result
    why: str = ""


def run(cases: Sequence[Case], folder: Path) -> Iterator[Outcome]:
    """Runs all of them in one image, but those that the build refuses."""
    known = reasons()
    accepted = []
    for case in cases:
        if refusal := case.refusal():
            yield Outcome(case, Result.NOT_APPLICABLE, f"refused at build: {refusal}")
        else:
            accepted.append(case)
    yield from _run(accepted, folder, known)


def _run(cases: Sequence[Case], folder: Path, known: Mapping[str, str]) -> Iterator[Outcome]:
    if not cases:
        return
    program = with_asyncio([case.source() for case in cases])
    shrunk = shrink({source.name: source.text for source in program})
    switches = dict(specialise([replace(s, text=shrunk.texts[s.name]) for s in program]).switches)
    if switches.get("MICROPY_EMIT_THUMB") == "1":
        switches |= native_code_switches(CORES["cortex_m3"])
    modules = [FrozenModule(s.name, s.path, shrunk.compiled[s.name]) for s in program]
    try:
        image = build_image(modules, folder, switches, heap=HEAP)
    except CoffretError as error:
        if len(cases) == 1:
            yield _unless_known(cases[0], f"does not build: {error.message}", known)
            return
        half = len(cases) // 2
        yield from _run(cases[:half], folder / "a", known)
        yield from _run(cases[half:], folder / "b", known)
        return
    for case in cases:
        yield _outcome(case, image, known)


def _outcome(case: Case, image: Image, known: Mapping[str, str]) -> Outcome:
    try:
        printed = image.run(case.module)
    except subprocess.TimeoutExpired:
        return _unless_known(case, "does not end", known)
    logged, end = printed[: printed.rindex("[")], printed[printed.rindex("[") :]
    if logged == "SKIP\n":
        return _unless_known(case, "says that something it needs is missing", known)
    if end == "[exit 0]\n" and agrees(logged, case.expected()):
        return Outcome(case, Result.PASS)
    return _unless_known(case, f"prints {logged[-300:]}{end}", known)


def _unless_known(case: Case, what: str, known: Mapping[str, str]) -> Outcome:
    why = reason_for(case, known)
    return Outcome(case, Result.NOT_APPLICABLE if why else Result.FAIL, why or what)
