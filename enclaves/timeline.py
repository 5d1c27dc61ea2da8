# SPDX-License-Identifier: Apache-2.0
"""Every release that a device's log remembers, with what the policy says of its gate."""

from __future__ import annotations

import json
from dataclasses import dataclass

from enclaves.policy import Policy

MONITOR = "monitor"
_RELEASED = "released "
_MEND = "give it the output of `coffret logs --json`"
_USED_UP = "gate budget used up "
_NUMBER = " #"  # of the release or refusal since the start, which the monitor writes behind it


class LogError(ValueError):
    """It is not the log of a device with this policy. `mend` says what to give."""

    def __init__(self, what: str, mend: str) -> None:
        super().__init__(what)
        self.mend = mend


@dataclass(frozen=True, slots=True)
class Release:
    """One entry of the log; `ms` since the device's last start. `refused`: there was no budget.

    `gone`: the entry stands for so many before the next, releases and refusals, that the board has
    no room for; it has no gate, and `ms` is that of the next.
    """

    ms: int
    gate: str
    refused: bool
    what: str
    gone: int = 0


def releases(policy: Policy, text: str) -> list[Release]:
    """The releases in `text`, the output of `coffret logs --json`, in the order of the log.

    Raises LogError for anything else, and for a gate that the policy does not have: then
    the device runs another appliance.
    """
    gates = {gate.name: gate for gate in policy.graph.gates}
    found: list[Release] = []
    last = 0
    for who, ms, line in _entries(text):
        refused = line.startswith(_USED_UP)
        # An enclave can write any text; only the monitor's own entries count.
        if who != MONITOR or not (refused or line.startswith(_RELEASED)):
            continue
        said, _, number = line.rpartition(_NUMBER)
        if not number.isdecimal() or len(number) > len(str(2**32)):
            raise LogError(f"the log has an entry without its number: {line!r}", _MEND)
        gone = int(number) - last - 1
        if gone > 0:
            what = f"{gone} releases and refusals before this are gone"
            found.append(Release(ms, "", False, what, gone))
        last = int(number)
        name = said.removeprefix(_USED_UP).removeprefix(_RELEASED)
        if name not in gates:
            mend = "name the appliance, bundle or policy that the device runs"
            raise LogError(f"the log has a gate {name!r}, the policy has none", mend)
        gate = gates[name]
        tags = " and ".join(sorted(gate.releases | gate.vouches))
        verb = "releases" if gate.releases else "vouches for"
        what = f"{name} {verb} {tags}, {gate.budget.words()}"
        said = f"refused, budget used up: {what}" if refused else what
        found.append(Release(ms, name, refused, said))
    return found


def _entries(text: str) -> list[tuple[str, int, str]]:
    problem = LogError("that is no device's log", _MEND)
    try:
        rows = json.loads(text)
    except ValueError:
        raise problem from None
    if not isinstance(rows, list):
        raise problem
    found = []
    for row in rows:
        match row:
            case {"who": str(who), "ms": int(ms), "text": str(line)}:
                found.append((who, ms, line))
            case _:
                raise problem
    return found
