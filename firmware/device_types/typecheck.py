# SPDX-License-Identifier: Apache-2.0
"""Each enclave's modules against the types of the device, with mypy.

Every enclave gets a stub of `enclave` in which the names of channels and gates are its own, and one
of `machine` with the pins and buses it was granted, so that a mistake is found here and not on the
board. The rest is the board's own stub package of MicroPython. The cache is one folder a board:
the stubs of two boards own the same module names, and a shared cache mixes them up.
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from boards.model import Board
from firmware.appliance.manifest import Manifest
from firmware.appliance.problems import Problem
from firmware.appliance.sections import did_you_mean
from firmware.compiler.object_cache import user_cache, write_atomically, write_if_new
from firmware.device_types.machine_stub import Id, Ids, device_of, machine_stub
from firmware.device_types.stub_packages import board_stubs
from firmware.planning.devices import granted_devices

DEVICE_STUBS = Path(__file__).parents[2] / "enclaves" / "device"
NO_BOARD = "any"

_FUNCTIONS = "input|output|gate|caller|service|setting"
_WRONG_NAME = re.compile(
    rf"Argument 1 to \"({_FUNCTIONS})\" has incompatible type \"Literal\['([^']*)'\]"
)
_NO_NAMES = re.compile(rf"Argument 1 to \"({_FUNCTIONS})\" has incompatible type .*\"Never\"")
_WRONG_DEVICE = re.compile(
    r"(?:Argument 1 to|No overload variant of) \"(Pin|UART|I2C|SPI|ADC|Timer)\""
)
_NO_MEMBER = re.compile(r"Module (?:\"machine\" )?has no attribute \"(PWM|WDT|unique_id)\"")
_SEVERE = {"error"}


def enclave_stub(manifest: Manifest, *enclaves: str) -> str:
    """The text of `enclave.pyi` for these enclaves: names of channels and gates as literals."""
    text = (DEVICE_STUBS / "enclave.pyi").read_text(encoding="utf-8")
    for function, names in channel_names(manifest, *enclaves).items():
        literal = f"Literal[{', '.join(json.dumps(name) for name in names)}]" if names else "Never"
        before = f"def {function}(name: str, /)"
        if text.count(before) != 1:
            raise ValueError(f"enclave.pyi has no single {before}")
        text = text.replace(before, f"def {function}(name: {literal}, /)")
    if not any("settings" in manifest.enclaves[name].devices for name in enclaves):
        text = text.replace("def setting(name: str, /)", "def setting(name: Never, /)")
    before = "from typing import Final,"
    if text.count(before) != 1:
        raise ValueError(f"enclave.pyi has no single {before}")
    return text.replace(before, "from typing import Final, Literal,")


def channel_names(manifest: Manifest, *enclaves: str) -> dict[str, list[str]]:
    """What `input`, `output`, `gate`, `caller`, `service` may be called with in `enclaves`."""
    outgoing = [c for c in manifest.channels if c.source in enclaves and c.kind != "faults"]
    incoming = [c for c in manifest.channels if c.target in enclaves]
    return {
        "input": [c.receiver_name for c in incoming if c.kind != "call"],
        "output": [c.sender_name for c in outgoing if c.gate is None and c.kind != "call"],
        "gate": [c.sender_name for c in outgoing if c.gate is not None],
        "caller": [c.sender_name for c in outgoing if c.kind == "call"],
        "service": [c.receiver_name for c in incoming if c.kind == "call"],
    }


def type_problems(manifest: Manifest, board: Board | None = None) -> list[Problem]:
    """Every type error in the modules of every enclave, one problem each.

    Without a board any pin and any bus will do. Raises CoffretError: no stubs of the board.
    """
    cache = user_cache() / "mypy" / (board.name if board else NO_BOARD)
    found: list[Problem] = []
    for enclave in manifest.enclaves:
        own = stub_files(manifest, [enclave], board)
        folders = (_write_stubs(own, cache), *(board_stubs(board) if board else ()))
        config = (
            "[mypy]\n"
            f"mypy_path = {':'.join(map(str, folders))}\n"
            f"cache_dir = {cache / 'cache'}\n"
            "check_untyped_defs = true\n"
            "warn_unreachable = true\n"
            "no_site_packages = true\n"
            "namespace_packages = false\n"
        )
        settings = folders[0] / "mypy.ini"
        write_if_new(settings, config.encode())
        paths = [module.path for module in manifest.modules[enclave]]
        for report in _run_mypy(settings, paths):
            problem = _problem(manifest, enclave, board, report)
            if problem not in found:  # a module shared by enclaves is checked in each
                found.append(problem)
    return found


def stub_files(
    manifest: Manifest, enclaves: Sequence[str], board: Board | None
) -> dict[str, bytes]:
    """By name, the stubs of ours for these enclaves: what any of them may use.

    What the board's stub package has, but for `machine`, is left to it.
    """
    packages = board_stubs(board) if board else ()
    files = {
        path.name: path.read_bytes()
        for path in sorted(DEVICE_STUBS.glob("*.pyi"))
        if not any((folder / path.name).exists() for folder in packages)
    }
    files["enclave.pyi"] = enclave_stub(manifest, *enclaves).encode()
    own = (DEVICE_STUBS / "machine.pyi").read_text(encoding="utf-8")
    theirs = [folder / "machine.pyi" for folder in packages if (folder / "machine.pyi").exists()]
    package = theirs[0].read_text(encoding="utf-8") if theirs else None
    ids = _ids(manifest, enclaves, board)
    files["machine.pyi"] = machine_stub(own, package, ids).encode()
    return files


def _ids(manifest: Manifest, enclaves: Sequence[str], board: Board | None) -> Ids | None:
    if board is None:
        return None
    tasks = [number for number, name in enumerate(manifest.enclaves) if name in enclaves]
    rows = granted_devices(manifest, board)
    return Ids.granted(board, (row for row in rows if row.task in tasks))


def _write_stubs(files: Mapping[str, bytes], cache: Path) -> Path:
    """A folder with stubs of ours. Its name is their digest, so it stays cached."""
    digest = hashlib.sha256(b"\0".join(n.encode() + b"\0" + t for n, t in sorted(files.items())))
    folder = cache / "stubs" / digest.hexdigest()[:32]
    for name, text in files.items():
        if not (folder / name).exists():
            write_atomically(folder / name, text)
    return folder


def _run_mypy(settings: Path, paths: Sequence[Path]) -> Iterator[dict[str, object]]:
    """mypy's errors in these files, not those that somebody else's stubs may have."""
    from mypy import api  # noqa: PLC0415 - slow to import, and only needed here

    arguments = ["--config-file", str(settings), "--output", "json", "--no-error-summary"]
    output, errors, status = api.run([*arguments, *map(str, paths)])
    ours = {path.resolve() for path in paths}
    for line in output.splitlines():
        report = json.loads(line)
        if report["severity"] in _SEVERE and Path(report["file"]).resolve() in ours:
            yield report
    if status not in (0, 1):
        what = f"mypy failed: {errors.strip()}"
        yield {"file": str(paths[0]), "line": 1, "message": what, "hint": "mend the module"}


def _problem(
    manifest: Manifest, enclave: str, board: Board | None, report: Mapping[str, object]
) -> Problem:
    """mypy's words, or ours for a channel or a device that it does not have."""
    file, line = Path(str(report["file"])), report["line"]
    at = line if isinstance(line, int) else 1
    message, hint = str(report["message"]), str(report["hint"] or "")
    what, mend = message, hint.replace("\n", " ") or "correct the code, or its types"
    wrong = _WRONG_NAME.match(message)
    if wrong:
        function, name = wrong[1], wrong[2]
        what = f"{enclave} has no {function} {name!r}"
        mend = did_you_mean(name, dict.fromkeys(channel_names(manifest, enclave)[function]))
    none = _NO_NAMES.match(message)
    if none and none[1] == "setting":
        what = f"{enclave} was not granted settings"
        mend = f'add "settings" to `devices` of [enclave.{enclave}]'
    elif none:
        what = f"{enclave} has no {none[1]} at all"
        mend = "declare a [[channel]] in the manifest"
    device = _WRONG_DEVICE.match(message)
    if device and board is not None:
        said = _device_problem(enclave, board, device[1], _first_argument(file, at, device[1]))
        what, mend = said or (what, mend)
    member = _NO_MEMBER.match(message)
    if member and board is not None:
        what, mend = _device_problem(enclave, board, member[1], member[1]) or (what, mend)
    return Problem(file, at, f"enclave.{enclave}", what, mend)


def _device_problem(
    enclave: str, board: Board, class_name: str, wanted: Id | None
) -> tuple[str, str] | None:
    """What is wrong with `UART(2)`, if its argument is written there."""
    if wanted is None:
        return None
    name = device_of(board, class_name, wanted)
    if name is None and wanted == class_name:
        return f"{board.name} has no {class_name}", "choose another board"
    if name is None:
        what = "pin" if class_name == "Pin" else class_name
        ids = board.pins.by_name if what == "pin" else Ids.all_of(board).of[class_name]
        has = ", ".join(map(str, ids)) or "none"
        return f"{board.name} has no {what} {wanted}", f"it has {has}"
    return (
        f"{enclave} was not granted {name}",
        f'add "{name}" to `devices` of [enclave.{enclave}]',
    )


def _first_argument(file: Path, line: int, class_name: str) -> Id | None:
    """The constant that a call of `class_name` on that line has first."""
    tree = ast.parse(file.read_bytes())
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.lineno <= line <= (node.end_lineno or line):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else None
            called = node.func.id if isinstance(node.func, ast.Name) else called
            if called != class_name or not node.args:
                continue
            match node.args[0]:
                case ast.Constant(value=int() | str() as value):
                    return value
    return None
