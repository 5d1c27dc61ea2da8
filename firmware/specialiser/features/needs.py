# SPDX-License-Identifier: Apache-2.0
"""What was found in the sources: reasons to keep a feature, and constructs to refuse."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, order=True)
class Reason:
    """Why a feature is in: `what` at `file`:`line` (line 0: not at one line)."""

    file: str
    line: int
    what: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.what}" if where else self.what


@dataclass(frozen=True, slots=True)
class Refusal:
    """A construct that the sealed runtime does not have."""

    path: Path
    line: int
    module: str
    what: str
    mend: str


@dataclass(frozen=True, slots=True)
class Source:
    """One Python module of the appliance.

    `name` is what `import` says, `path` what messages show, `text` its bytes as on disk.
    """

    name: str
    path: Path
    text: bytes
    upstream: bool = False  # MicroPython's own, not the appliance's


@dataclass(slots=True)
class Needs:
    """Collects the reasons, by switch, and the refusals.

    Filled once, then frozen by the specialiser.
    """

    reasons: dict[str, set[Reason]] = field(default_factory=dict)
    refusals: list[Refusal] = field(default_factory=list)

    def add(self, switches: Iterable[str], reason: Reason) -> None:
        """Each of the switches is needed, for that reason."""
        for switch in switches:
            self.reasons.setdefault(switch, set()).add(reason)

    def refuse(self, refusal: Refusal) -> None:
        """The program cannot be built as it stands."""
        self.refusals.append(refusal)

    def frozen(self) -> Mapping[str, tuple[Reason, ...]]:
        """Reasons by switch, both in a fixed order."""
        return {switch: tuple(sorted(self.reasons[switch])) for switch in sorted(self.reasons)}
