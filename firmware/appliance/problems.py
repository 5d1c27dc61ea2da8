# SPDX-License-Identifier: Apache-2.0
"""What is wrong with an appliance: file, line, key, and the mend, as many as there are."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from boards.errors import USAGE, CoffretError
from firmware.appliance.lines import KeyPath, line_of


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. Its text is `FILE:LINE: KEY: what; mend`."""

    file: Path
    line: int
    key: str
    what: str
    mend: str

    def __str__(self) -> str:
        return f"{shown(self.file)}:{self.line}: {self.key}: {self.what}; {self.mend}"

    def as_json(self) -> dict[str, object]:
        """For `--json`."""
        return {
            "file": shown(self.file),
            "line": self.line,
            "key": self.key,
            "what": self.what,
            "mend": self.mend,
        }


class ApplianceError(CoffretError):
    """One or more problems. `message` is one line each."""

    def __init__(self, problems: Sequence[Problem], exit_code: int = USAGE) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, problems)), "", exit_code)

    def text(self) -> str:
        """As printed: the lines alone, so that editors can jump to them."""
        return self.message


def shown(path: Path) -> str:
    """`path` as a person would type it here: relative to the working folder if that is shorter."""
    relative = os.path.relpath(path)
    return min(relative, str(path), key=len)


def key_text(key: KeyPath) -> str:
    """A key as TOML writes it: `enclave.coach.may_release`, `channel[2].from`."""
    text = ""
    for part in key:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            quoted = part if part.replace("_", "").replace("-", "").isalnum() else f'"{part}"'
            text += f".{quoted}" if text else quoted
    return text


def written(lines: Mapping[KeyPath, int], key: KeyPath) -> KeyPath:
    """`key` as it stands in the file: a lone table, where a list is allowed, has no index."""
    path: KeyPath = ()
    for part in key:
        if part != 0 or (*path, part) in lines:
            path = (*path, part)
    return path


def _of_role(lines: Mapping[KeyPath, int], key: KeyPath) -> KeyPath:
    """The role `reader.alice` of a worker stands in the manifest below its enclave."""
    match key:
        case ("enclave", str(name), *rest) if "." in name:
            enclave, _, role = name.partition(".")
            inner = ("enclave", enclave, "role", role, *rest)
            return inner if inner in lines else ("enclave", enclave, *rest)
    return key


def problem_at(
    path: Path, lines: Mapping[KeyPath, int], key: KeyPath, what: str, mend: str
) -> Problem:
    """A problem at `key` of the manifest `path`, or at the nearest table around it."""
    key = written(lines, _of_role(lines, key))
    return Problem(path, line_of(lines, key), key_text(key), what, mend)
