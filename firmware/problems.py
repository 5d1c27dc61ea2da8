# SPDX-License-Identifier: Apache-2.0
"""What is wrong with an appliance: file, line, key, and the mend, as many as there are."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from boards.errors import USAGE, CoffretError


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
