# SPDX-License-Identifier: Apache-2.0
"""Verdicts in plain words: what is wrong, what that means for whoever relies on the device, and
what to do. For operators, not for protocol people.
"""

from __future__ import annotations

from dataclasses import dataclass

from attest.verdict import Claim, Outcome, Verdict

HEADLINES = {
    "trusted": "This device is what it says it is, and runs what it should.",
    "unknown": "Nothing is wrong with this device, but not everything could be checked.",
    "untrusted": "Do not rely on this device.",
}

# What it means when a claim is wrong, and what to do about it.
_MEANINGS: dict[str, tuple[str, str]] = {
    "evidence": (
        "What the device sent is no evidence at all, so nothing is known of it.",
        "Ask again; if it stays so, flash the device anew over USB.",
    ),
    "nonce": (
        "The answer is not an answer to this question: it may be an old recording.",
        "Ask again with a fresh challenge. If it happens often, somebody is between you.",
    ),
    "age": (
        "The answer came too late to say how the device is now.",
        "Ask again.",
    ),
    "signature": (
        "The evidence was not signed by the key that this image has on this device.",
        "Treat the evidence as forged. Ask the device itself, over USB.",
    ),
    "certificate": (
        "The key that signed was not certified by the start-up code of the endorsed device.",
        "Treat the device as unknown: it may be a copy. Look at the board in person.",
    ),
    "endorsement": (
        "The operator has not vouched for this device, or for another one.",
        "If the board is yours, provision it; otherwise somebody shows you another device.",
    ),
    "lifecycle": (
        "The device is not locked for use: somebody with a cable may read or change it.",
        "Reset it if it was provisioned just now; otherwise provision it.",
    ),
    "caller": (
        "Another part of the device than its manager asked for the evidence.",
        "Flash the image of the bundle anew.",
    ),
    "board": (
        "It is another kind of board than the image is made for.",
        "Check which board hangs on the port, and which bundle you named.",
    ),
    "boot": (
        "The start-up code is another one; whoever changed it controls everything after it.",
        "Do not use the board until its boot was written anew, by a cable.",
    ),
    "runtime": (
        "The system beneath the appliance is another build than the bundle's.",
        "Flash the bundle, or name the bundle that is meant to run.",
    ),
    "appliance": (
        "The device runs another image than the bundle's.",
        "Flash the bundle, or name the bundle that is meant to run.",
    ),
    "version": (
        "The device runs a version that your policy does not accept.",
        "Update the device, or the policy.",
    ),
    "policy": (
        "The device may pass on other data, or to others, than it should.",
        "Compare the two policies (coffret flows --diff) and flash the bundle that is right.",
    ),
    "flows": (
        "Data may leave the device in a way that your policy does not allow.",
        "Flash an appliance without that way out, or allow it in the policy.",
    ),
    "enclave": (
        "One part of the appliance is other code than the bundle's.",
        "Flash the bundle, or name the bundle that is meant to run.",
    ),
    "signing key": (
        "The image was signed with another key than the bundle.",
        "Find out who signed it. If it was not you, treat the device as taken over.",
    ),
    "faults": (
        "A part of the appliance fails again and again: it is broken, or somebody tries it out.",
        "Look at the board's log (coffret logs) for what happened.",
    ),
    "settings": (
        "The board was given other settings for its appliance than you allow, or tells none.",
        "Compare what it has (coffret fleet show, SMP group 65); only a board of a new identity "
        "can be given others.",
    ),
    "security counter": (
        "The image is so old that its known weaknesses may be open.",
        "Update the device.",
    ),
    "reference values": (
        "Nobody said what the device should run.",
        "Name its bundle, or upload the bundle's reference values.",
    ),
}
_OTHER = ("One claim of the evidence is not as it should be.", "Look at the claim in detail.")


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a device is not trusted: the claim, what was seen, what it means, what to do."""

    claim: str
    seen: str
    means: str
    do: str

    def to_json(self) -> dict[str, str]:
        return {"claim": self.claim, "seen": self.seen, "means": self.means, "do": self.do}


@dataclass(frozen=True, slots=True)
class Explanation:
    """A verdict in words. `reasons` is empty for a trusted device."""

    headline: str
    reasons: tuple[Reason, ...]

    def to_json(self) -> dict[str, object]:
        return {
            "headline": self.headline,
            "reasons": [reason.to_json() for reason in self.reasons],
        }


def explain(verdict: Verdict) -> Explanation:
    """The verdict in plain words, what is wrong before what could not be checked."""
    failing = [claim for claim in verdict.claims if not claim.ok]
    failing.sort(key=lambda claim: claim.outcome is not Outcome.WRONG)
    return Explanation(HEADLINES[verdict.verdict], tuple(map(_reason, failing)))


def _reason(claim: Claim) -> Reason:
    means, mend = _MEANINGS.get(claim.claim.partition(":")[0], _OTHER)
    if claim.outcome is Outcome.UNCHECKED:
        means = "This could not be checked, so nothing is said about it."
    return Reason(claim.claim, claim.why, means, mend)
