# SPDX-License-Identifier: Apache-2.0
"""What an appraisal says: one claim after another, and the verdict that they make together."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple


class NonceState(Enum):
    """What the verifier knows of the nonce it is shown."""

    FRESH = "fresh"
    USED = "used"
    EXPIRED = "expired"
    UNKNOWN = "unknown"


class Outcome(Enum):
    """WRONG makes a device untrusted; UNCHECKED, with nothing wrong, leaves it unknown."""

    OK = "ok"
    WRONG = "wrong"
    UNCHECKED = "unchecked"

    __hash__ = object.__hash__  # an Enum's own is slow, and there is one of each


@dataclass(frozen=True, slots=True)
class Challenge:
    """The nonce that the verifier sent, and its state at the moment the answer came.

    `age` is how many seconds before that moment it was sent, None if the verifier does not know.
    """

    nonce: bytes
    state: NonceState = NonceState.FRESH
    age: int | None = None


class Claim(NamedTuple):  # an appraisal makes some twenty, and a frozen dataclass is slow to make
    """One checked statement. `expected` and `found` are text, `why` explains a failure."""

    claim: str
    expected: str
    found: str
    outcome: Outcome
    why: str = ""

    @property
    def ok(self) -> bool:
        return self.outcome is Outcome.OK

    def to_json(self) -> dict[str, object]:
        return {
            "claim": self.claim,
            "expected": self.expected,
            "found": self.found,
            "ok": self.ok,
            "why": self.why,
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result for one device. `device` is its instance id in hex, or "?" if it gave none.

    `policy` is the identifier of the verifier's policy that was applied; `appliance` and `version`
    are those of the reference values, None if there were none.
    """

    device: str
    claims: tuple[Claim, ...]
    policy: str = ""
    appliance: str | None = None
    version: str | None = None
    verdict: str = field(init=False)  # trusted, untrusted or unknown

    def __post_init__(self) -> None:
        outcomes = {claim.outcome for claim in self.claims}
        if not outcomes or Outcome.WRONG in outcomes:
            said = "untrusted"
        else:
            said = "unknown" if Outcome.UNCHECKED in outcomes else "trusted"
        object.__setattr__(self, "verdict", said)

    @property
    def trusted(self) -> bool:
        return self.verdict == "trusted"

    @property
    def differing(self) -> tuple[str, ...]:
        """The names of the claims that are not as expected."""
        return tuple(claim.claim for claim in self.claims if not claim.ok)

    def to_json(self) -> dict[str, object]:
        """The shape scripts rely on (`coffret attest --json`)."""
        return {
            "device": self.device,
            "verdict": self.verdict,
            "claims": [claim.to_json() for claim in self.claims],
        }
