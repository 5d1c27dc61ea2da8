# SPDX-License-Identifier: Apache-2.0
"""Each enclave's modules against the types of the device, with mypy.

Every enclave gets a stub of `enclave` in which the names of channels and gates are its own, so
that a misspelt channel is found here and not on the board. The cache is one folder a board: the
stubs of two boards own the same module names, and a shared cache mixes them up.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from firmware.manifest import Manifest
from firmware.object_cache import user_cache, write_atomically
from firmware.problems import Problem
from firmware.sections import did_you_mean

DEVICE_STUBS = Path(__file__).parent.parent / "enclaves" / "device"
NO_BOARD = "any"

_FUNCTIONS = "input|output|gate|caller|service"
_WRONG_NAME = re.compile(
    rf"Argument 1 to \"({_FUNCTIONS})\" has incompatible type \"Literal\['([^']*)'\]"
)
_NO_NAMES = re.compile(rf"Argument 1 to \"({_FUNCTIONS})\" has incompatible type .*\"Never\"")
_SEVERE = {"error"}


def enclave_stub(manifest: Manifest, enclave: str) -> str:
    """The text of `enclave.pyi` for one enclave: names of channels and gates as literals."""
    text = (DEVICE_STUBS / "enclave.pyi").read_text(encoding="utf-8")
    for function, names in channel_names(manifest, enclave).items():
        literal = f"Literal[{', '.join(json.dumps(name) for name in names)}]" if names else "Never"
        before = f"def {function}(name: str, /)"
        if text.count(before) != 1:
            raise ValueError(f"enclave.pyi has no single {before}")
        text = text.replace(before, f"def {function}(name: {literal}, /)")
    before = "from typing import Final,"
    if text.count(before) != 1:
        raise ValueError(f"enclave.pyi has no single {before}")
    return text.replace(before, "from typing import Final, Literal,")


def channel_names(manifest: Manifest, enclave: str) -> dict[str, list[str]]:
    """What `input`, `output`, `gate`, `caller`, `service` may be called with in `enclave`."""
    outgoing = [c for c in manifest.channels if c.source == enclave and c.kind != "faults"]
    incoming = [c for c in manifest.channels if c.target == enclave]
    return {
        "input": [c.receiver_name for c in incoming if c.kind != "call"],
        "output": [c.sender_name for c in outgoing if c.gate is None and c.kind != "call"],
        "gate": [c.sender_name for c in outgoing if c.gate is not None],
        "caller": [c.sender_name for c in outgoing if c.kind == "call"],
        "service": [c.receiver_name for c in incoming if c.kind == "call"],
    }


def type_problems(manifest: Manifest, board: str = NO_BOARD) -> list[Problem]:
    """Every type error in the modules of every enclave, one problem each."""
    cache = user_cache() / "mypy" / board
    found: list[Problem] = []
    for enclave in manifest.enclaves:
        stubs = _write_stubs(manifest, enclave, cache)
        config = (
            "[mypy]\n"
            f"mypy_path = {stubs}\n"
            f"cache_dir = {cache / 'cache'}\n"
            "check_untyped_defs = true\n"
            "warn_unreachable = true\n"
            "no_site_packages = true\n"
            "namespace_packages = false\n"
        )
        settings = stubs / "mypy.ini"
        if not settings.exists() or settings.read_text(encoding="utf-8") != config:
            write_atomically(settings, config.encode())
        paths = [module.path for module in manifest.modules[enclave]]
        for problem in _run_mypy(manifest, enclave, settings, paths):
            if problem not in found:  # a module shared by enclaves is checked in each
                found.append(problem)
    return found


def _write_stubs(manifest: Manifest, enclave: str, cache: Path) -> Path:
    """A folder with the stubs of one enclave. Its name is their digest, so it stays cached."""
    files = {
        path.name: path.read_bytes()
        for path in sorted(DEVICE_STUBS.glob("*.pyi"))
        if path.name != "enclave.pyi"
    }
    files["enclave.pyi"] = enclave_stub(manifest, enclave).encode()
    digest = hashlib.sha256(b"\0".join(n.encode() + b"\0" + t for n, t in files.items()))
    folder = cache / "stubs" / digest.hexdigest()[:32]
    for name, text in files.items():
        if not (folder / name).exists():
            write_atomically(folder / name, text)
    return folder


def _run_mypy(
    manifest: Manifest, enclave: str, settings: Path, paths: Sequence[Path]
) -> Iterator[Problem]:
    from mypy import api  # noqa: PLC0415 - slow to import, and only needed here

    arguments = ["--config-file", str(settings), "--output", "json", "--no-error-summary"]
    output, errors, status = api.run([*arguments, *map(str, paths)])
    for line in output.splitlines():
        report = json.loads(line)
        if report["severity"] in _SEVERE:
            yield _problem(manifest, enclave, report)
    if status not in (0, 1):
        key = ("enclave", enclave, "module")
        yield manifest.problem(key, f"mypy failed: {errors.strip()}", "mend the module")


def _problem(manifest: Manifest, enclave: str, report: dict[str, object]) -> Problem:
    """mypy's words, or ours for a channel that does not exist."""
    file, line = Path(str(report["file"])), report["line"]
    message, hint = str(report["message"]), str(report["hint"] or "")
    what, mend = message, hint.replace("\n", " ") or "correct the code, or its types"
    wrong = _WRONG_NAME.match(message)
    if wrong:
        function, name = wrong[1], wrong[2]
        what = f"{enclave} has no {function} {name!r}"
        mend = did_you_mean(name, dict.fromkeys(channel_names(manifest, enclave)[function]))
    none = _NO_NAMES.match(message)
    if none:
        what = f"{enclave} has no {none[1]} at all"
        mend = "declare a [[channel]] in the manifest"
    return Problem(file, line if isinstance(line, int) else 1, f"enclave.{enclave}", what, mend)
