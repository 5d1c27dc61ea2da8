# SPDX-License-Identifier: Apache-2.0
"""Which features of the virtual machine an appliance needs, and why.

The whole program is read: every module of every enclave. A feature is left out only when no
construct that could need it occurs anywhere; what cannot be decided (a computed attribute name, a
star import) is kept, and the reason says so. Numbers: floats are single precision; integers are
exact at any size unless no arithmetic of the program can leave 31 bits (`features/values.py`), so
leaving long integers out never changes a result. One thing is decided, not analysed: a format
string is one of the program's own constants.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from firmware.appliance.modules import PACKAGE_FILE
from firmware.appliance.problems import ApplianceError, Problem, shown
from firmware.specialiser.features.catalogue import IMPLIES, NEEDED, OFF_UNLESS_NEEDED, switch
from firmware.specialiser.features.evaluation import evaluators
from firmware.specialiser.features.needs import Needs, Reason, Source
from firmware.specialiser.features.program import parse
from firmware.specialiser.features.reader import Reader

__all__ = ["Reason", "Source", "Specialisation", "specialise"]

# A switch without which another has no effect, where an attribute's name alone asked for it.
_GATES: Mapping[str, str] = {
    "PY_COLLECTIONS_NAMEDTUPLE__ASDICT": "PY_COLLECTIONS",
    "PY_MACHINE_EVENTS": "PY_MACHINE",
    "PY_RE_MATCH_GROUPS": "PY_RE",
    "PY_RE_MATCH_SPAN_START_END": "PY_RE",
    "PY_RE_SUB": "PY_RE",
}


@dataclass(frozen=True, slots=True)
class Specialisation:
    """`switches`: MicroPython's macros that differ from the baseline, with their values; `reasons`
    for those on.
    """

    switches: Mapping[str, str]
    reasons: Mapping[str, tuple[Reason, ...]]

    def explain(self, feature: str = "") -> str:
        """The reasons, one a line under each switch; `feature` narrows to the switches whose name
        has that word.
        """
        lines: list[str] = []
        for name, reasons in self._about(feature):
            lines.append(f"{name} = {self.switches[name]}")
            lines += [f"  {reason}" for reason in reasons]
        if not lines:
            return (
                f"nothing in the appliance needs {feature}"
                if feature
                else "nothing beyond the baseline"
            )
        return "\n".join(lines)

    def as_json(self, feature: str = "") -> dict[str, object]:
        """The same as a document: by switch its value and its reasons."""
        return {
            name: {
                "value": self.switches[name],
                "reasons": [{"file": r.file, "line": r.line, "what": r.what} for r in reasons],
            }
            for name, reasons in self._about(feature)
        }

    def _about(self, feature: str) -> Iterator[tuple[str, tuple[Reason, ...]]]:
        wanted = feature.upper().replace("-", "_").replace(" ", "_")
        for name, reasons in self.reasons.items():
            if not wanted or f"_{wanted}_" in f"_{name}_" or wanted == name:
                yield name, reasons


def specialise(sources: Sequence[Source]) -> Specialisation:
    """Reads all modules of an appliance.

    ApplianceError for what the sealed runtime does not have.
    """
    program = parse(sources)
    needs = Needs()
    for name, evaluator in evaluators(program.trees, program.outside).items():
        Reader(program, name, evaluator, needs).read()
    for source in sources:
        if "." in source.name or source.path.name == PACKAGE_FILE:
            needs.add(("PY_PACKAGES",), Reason(shown(source.path), 0, "a module in a package"))
    if needs.refusals:
        raise ApplianceError(
            [
                Problem(refusal.path, refusal.line, refusal.module, refusal.what, refusal.mend)
                for refusal in needs.refusals
            ]
        )
    _close(needs.reasons)
    reasons = {switch(name): found for name, found in needs.frozen().items()}
    switches = {switch(name): "0" for name in OFF_UNLESS_NEEDED}
    switches |= {switch(name): NEEDED.get(name, "1") for name in needs.reasons}
    return Specialisation(
        MappingProxyType(dict(sorted(switches.items()))), MappingProxyType(reasons)
    )


def _close(reasons: dict[str, set[Reason]]) -> None:
    """Drops what has no effect, then adds what is implied."""
    for name, gate in _GATES.items():
        if gate not in reasons:
            reasons.pop(name, None)
    pending: Iterable[str] = tuple(reasons)
    while pending:
        added: list[str] = []
        for name in pending:
            for implied in IMPLIES.get(name, ()):
                if implied not in reasons:
                    added.append(implied)
                reasons.setdefault(implied, set()).add(Reason("", 0, f"needed by {switch(name)}"))
        pending = added
