# SPDX-License-Identifier: Apache-2.0
"""The tests of the pinned MicroPython tree: what each is to print, and why some cannot apply.

A test is a script; it passes if it prints what the `.exp` file beside it says, or, without one,
what CPython prints. A line `########` of an `.exp` file stands for any lines, as in MicroPython's
own `tests/run-tests.py`.
"""

from __future__ import annotations

import fnmatch
import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from boards.errors import CoffretError
from firmware.compiler.sources import UPSTREAM, find_tree
from firmware.specialiser.asyncio_source import with_asyncio
from firmware.specialiser.specialise import Source, specialise

GROUPS = ("basics", "micropython", "float", "extmod")
REASONS = Path(__file__).with_name("not_applicable.toml")

_LOG_LINE = 120  # bytes of one entry of the log, see SYS_LOG


@dataclass(frozen=True, slots=True)
class Case:
    """One script of the suite."""

    group: str
    path: Path

    @property
    def name(self) -> str:
        return f"{self.group}/{self.path.stem}"

    @property
    def module(self) -> str:
        """Its name as a module of an image."""
        return f"{self.group}__{self.path.stem}"

    def source(self, text: bytes | None = None) -> Source:
        """The script, or another text in its place."""
        return Source(self.module, self.path, text or self.path.read_bytes())

    def refusal(self) -> str:
        """What the build says against it, or nothing."""
        try:
            specialise(with_asyncio([self.source()]))
        except CoffretError as error:
            first = error.message.splitlines()[0]
            return first.partition(self.path.name)[2].partition(": ")[2] or first
        return ""

    def expected(self) -> str:
        """What it is to print. `AssertionError` if CPython itself fails on it."""
        written = self.path.with_name(f"{self.path.name}.exp")
        if written.is_file():
            return written.read_text()
        result = subprocess.run(
            [sys.executable, "-BS", "-X", "utf8", self.path.name],
            cwd=self.path.parent,
            capture_output=True,
            check=False,
        )
        assert result.returncode == 0, result.stderr.decode()
        return result.stdout.decode()


def cases() -> tuple[Case, ...]:
    """Every script, by group and name."""
    root = find_tree(UPSTREAM).path / "tests"
    return tuple(
        Case(group, path) for group in GROUPS for path in sorted((root / group).glob("*.py"))
    )


def reasons() -> Mapping[str, str]:
    """Why a test cannot apply, by a pattern of names."""
    document = tomllib.loads(REASONS.read_text())
    return {pattern: reason for reason, patterns in document.items() for pattern in patterns}


def reason_for(case: Case, known: Mapping[str, str]) -> str:
    """The reason given for a test, or nothing."""
    return next((why for what, why in known.items() if fnmatch.fnmatch(case.name, what)), "")


def as_logged(text: str) -> str:
    """Text as the log keeps it: no empty lines, and long lines cut."""
    lines = (line.encode() for line in text.replace("\r\n", "\n").split("\n"))
    pieces = (line[at : at + _LOG_LINE] for line in lines for at in range(0, len(line), _LOG_LINE))
    return "".join(f"{piece.decode(errors='replace')}\n" for piece in pieces)


def agrees(logged: str, expected: str) -> bool:
    """Whether the log says what was expected."""
    if "########" not in expected:
        return logged == as_logged(expected)
    lines = as_logged(expected).splitlines(keepends=True)
    pattern = "".join("(.*\n)*?" if line == "########\n" else re.escape(line) for line in lines)
    return re.fullmatch(pattern, logged) is not None
