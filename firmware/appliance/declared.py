# SPDX-License-Identifier: Apache-2.0
"""The names that a manifest declares, and what is wrong with references to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from firmware.appliance.lines import KeyPath
from firmware.appliance.problems import Problem, problem_at
from firmware.appliance.sections import Sections, did_you_mean


class Declared:
    """One document's well-formed tables and declared names; collects problems.

    `names` has the names by section, in the manifest's order; those of a malformed table too.
    """

    def __init__(
        self,
        path: Path,
        raw: Mapping[str, Any],
        sections: Sections,
        lines: Mapping[KeyPath, int],
    ) -> None:
        self.path = path
        self.sections = sections
        self.lines = lines
        self.names = {
            name: dict.fromkeys(raw[name]) if isinstance(raw.get(name), dict) else {}
            for name in ("owner", "tag", "enclave", "sink")
        }
        for role, enclave in sections.bodies.items():
            self.names["enclave"].pop(enclave, None)
            self.names["enclave"][role] = None
        self.problems: list[Problem] = []

    def say(self, key: KeyPath, what: str, mend: str) -> None:
        """A problem at a key of the document."""
        self.problems.append(problem_at(self.path, self.lines, key, what, mend))

    def check(self, section: str, names: Iterable[str], key: KeyPath) -> None:
        """Every name of the list at `key` is declared in `section`, and none stands twice."""
        seen: set[str] = set()
        known = self.names[section]
        for index, name in enumerate(names):
            at = (*key, index)
            if name in seen:
                self.say(at, f"{name} stands twice", "write it once")
            elif name not in known:
                self.say(at, f"there is no {section} {name!r}", did_you_mean(name, known))
            seen.add(name)
