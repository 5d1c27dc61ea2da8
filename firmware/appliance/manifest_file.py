# SPDX-License-Identifier: Apache-2.0
"""`appliance.toml`: the manifest of an appliance, read and checked as a whole."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from firmware.appliance.lines import key_lines
from firmware.appliance.manifest import Manifest
from firmware.appliance.problems import ApplianceError, Problem, key_text
from firmware.appliance.references import resolve
from firmware.appliance.sections import validate

FILE_NAME = "appliance.toml"
MAX_BYTES = 256 * 1024
_TWICE = re.compile(r"Cannot declare \((.*)\) twice")


def manifest_path(appliance: Path) -> Path:
    """The manifest of an appliance given as its folder or as the file itself."""
    return appliance / FILE_NAME if appliance.is_dir() else appliance


def load(appliance: Path) -> Manifest:
    """Read and check a manifest. Raises ApplianceError (exit code 2) with all that is wrong."""
    path = manifest_path(appliance)
    text = _read(path)
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ApplianceError([_toml_problem(path, str(error))]) from error
    lines = key_lines(text)
    sections, problems = validate(path, raw, lines)
    manifest, more = resolve(path, raw, sections, lines)
    problems += more
    if problems or manifest is None:
        raise ApplianceError(sorted(problems, key=lambda p: (str(p.file) != str(path), p.line)))
    return manifest


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        what = (error.strerror or "cannot be read").lower()
        mend = "name an appliance's folder or its appliance.toml; `coffret new NAME` makes one"
        raise ApplianceError([Problem(path, 1, "appliance", what, mend)]) from error
    if len(data) > MAX_BYTES:
        raise ApplianceError([Problem(path, 1, "appliance", "longer than 256 KiB", "shorten it")])
    try:
        return data.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ApplianceError(
            [Problem(path, line, "appliance", "not UTF-8", "save it as UTF-8")]
        ) from error


def _toml_problem(path: Path, message: str) -> Problem:
    """tomllib says `what (at line N, column M)`, or `(at end of document)`."""
    what, _, place = message.partition(" (at ")
    number = place.removeprefix("line ").split(",")[0]
    line = int(number) if number.isdecimal() else 1
    twice = _TWICE.fullmatch(what)
    if twice:
        names = tuple(name[1:-1] for name in re.findall(r"'[^']*'|\"[^\"]*\"", twice[1]))
        return Problem(path, line, key_text(names), "declared twice", "write it once")
    mend = "write each key once" if "overwrite" in what else "correct the TOML"
    return Problem(path, line, "appliance", what[:1].lower() + what[1:], mend)
