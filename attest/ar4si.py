# SPDX-License-Identifier: Apache-2.0
"""A verdict as AR4SI's trustworthiness vector (draft-ietf-rats-ar4si, sections 2.3.4 and 2.3.5).

What this verifier has no ground to speak of (file system, opaque memory and storage, sourced data)
is left out, as the draft asks. The tier of the vector's worst value is the verdict's tier.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
from types import MappingProxyType

from attest.verdict import Claim, Outcome, Verdict


class Tier(IntEnum):
    """Trustworthiness tiers, with the numbers that stand for them in CBOR."""

    NONE = 0
    AFFIRMING = 2
    WARNING = 32
    CONTRAINDICATED = 96


class Facet(IntEnum):
    """The facets of the vector, with their keys in CBOR."""

    INSTANCE_IDENTITY = 0
    CONFIGURATION = 1
    EXECUTABLES = 2
    HARDWARE = 4

    @property
    def label(self) -> str:
        """Its name in JSON."""
        return self.name.lower().replace("_", "-")


NO_CLAIM = 0
AFFIRMED = 2  # recognised, approved, genuine: the facet's first affirming value
CONTRAINDICATED = 96
UNRECOGNISED_INSTANCE = 97
UNRECOGNISED_HARDWARE = 97
CRYPTO_FAILED = 99

TIERS = {"trusted": Tier.AFFIRMING, "unknown": Tier.NONE, "untrusted": Tier.CONTRAINDICATED}
_OF_IDENTITY = frozenset(
    {"evidence", "nonce", "age", "signature", "certificate", "endorsement", "caller"}
)
_OF_CONFIGURATION = frozenset({"lifecycle", "policy", "flows", "settings"})
_OF_HARDWARE = frozenset({"board"})
_CRYPTO = frozenset({"evidence", "nonce", "signature", "certificate"})


def facet(claim: str) -> Facet:
    """The facet that a claim of ours belongs to; what is measured code is EXECUTABLES."""
    if claim in _OF_IDENTITY:
        return Facet.INSTANCE_IDENTITY
    if claim in _OF_CONFIGURATION:
        return Facet.CONFIGURATION
    return Facet.HARDWARE if claim in _OF_HARDWARE else Facet.EXECUTABLES


def status(verdict: Verdict) -> Tier:
    """The tier of the whole."""
    return TIERS[verdict.verdict]


def vector(verdict: Verdict) -> Mapping[Facet, int]:
    """The value of each facet that a claim spoke of, in the order of their keys."""
    by_facet: dict[Facet, list[Claim]] = {}
    for claim in verdict.claims:
        by_facet.setdefault(facet(claim.claim), []).append(claim)
    return MappingProxyType({each: _value(each, by_facet[each]) for each in sorted(by_facet)})


def _value(of: Facet, claims: Sequence[Claim]) -> int:
    wrong = {claim.claim for claim in claims if claim.outcome is Outcome.WRONG}
    if not wrong:
        unchecked = any(claim.outcome is Outcome.UNCHECKED for claim in claims)
        return NO_CLAIM if unchecked else AFFIRMED
    if of is Facet.HARDWARE:
        return UNRECOGNISED_HARDWARE
    if of is Facet.INSTANCE_IDENTITY:
        if wrong & _CRYPTO:
            return CRYPTO_FAILED
        return UNRECOGNISED_INSTANCE if "endorsement" in wrong else CONTRAINDICATED
    return CONTRAINDICATED
