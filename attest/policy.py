# SPDX-License-Identifier: Apache-2.0
"""The verifier's policy: what a relying party asks beyond "it runs what the bundle says".

A value, read from `policy.toml` by `attest.policy_file`. Rules are general, or for one appliance.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from attest.evidence import Evidence
from attest.flows import FlowBook, Route
from attest.verdict import Challenge, Claim, Outcome
from enclaves import cbor

# RFC 9783 section 4.3.1: the upper byte of the lifecycle.
LIFECYCLES = {
    "unknown": 0x00,
    "assembly-and-test": 0x10,
    "provisioning": 0x20,
    "secured": 0x30,
    "non-psa-debug": 0x40,
    "recoverable-debug": 0x50,
    "decommissioned": 0x60,
}
_NAMES = {value: name for name, value in LIFECYCLES.items()}


@dataclass(frozen=True, slots=True)
class Rules:
    """What is asked. The defaults ask for nothing but a secured device.

    `versions` are versions ("1.2.0") or ranges (">=1.2, <2"), () for any; `maximum_age` is in
    seconds from challenge to appraisal; `flows` is every way out that is allowed, None for those
    of the reference values, whatever they are; `maximum_faults` is of each enclave, since boot;
    `settings` are the digests of the settings that a board may have, () for any.
    """

    versions: tuple[str, ...] = ()
    minimum_security_counter: int = 0
    lifecycle: tuple[str, ...] = ("secured",)
    maximum_age: int | None = None
    flows: tuple[Route, ...] | None = None
    maximum_faults: int | None = None
    settings: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Policy:
    """A verifier's policy. `appliances` has the rules of those that have their own, by name."""

    name: str = "default"
    rules: Rules = Rules()
    appliances: tuple[tuple[str, Rules], ...] = ()

    def rules_for(self, appliance: str | None) -> Rules:
        """The rules of this appliance, or the general ones."""
        return dict(self.appliances).get(appliance or "", self.rules)

    @property
    def identifier(self) -> str:
        """`NAME@DIGEST`, the digest over all that it asks: equal ones ask the same."""
        return _identifier(self)


DEFAULT = Policy()


@lru_cache(maxsize=64)
def _identifier(policy: Policy) -> str:
    digest = hashlib.sha256(cbor.encode(asdict(policy))).hexdigest()
    return f"{policy.name}@{digest[:32]}"


def lifecycle_name(lifecycle: int) -> str:
    """The state's name, "reserved" for a value that RFC 9783 does not give."""
    return _NAMES.get(lifecycle >> 8, "reserved")


def version_problem(wanted: str) -> str | None:
    """Why `wanted` can be in no `versions`, or None."""
    try:
        if wanted[:1] in "<>=!~":
            SpecifierSet(wanted)
        else:
            Version(wanted)
    except (InvalidSpecifier, InvalidVersion):
        return f"{wanted!r} is neither a version nor a range"
    return None


@lru_cache(maxsize=1024)
def accepts(wanted: str, version: str) -> bool:
    """Whether `version` is the version, or in the range, that `wanted` says."""
    if wanted[:1] not in "<>=!~":
        return wanted == version
    try:
        return SpecifierSet(wanted).contains(version, prereleases=True)
    except (InvalidSpecifier, InvalidVersion):
        return False


def check_age(rules: Rules, challenge: Challenge) -> Iterator[Claim]:
    """The claim "age", when the rules ask for one."""
    if rules.maximum_age is None:
        return
    wanted = f"at most {rules.maximum_age} s"
    if challenge.age is None:
        why = "nobody knows when this challenge was sent"
        yield Claim("age", wanted, "unknown", Outcome.UNCHECKED, why)
    elif not 0 <= challenge.age <= rules.maximum_age:
        why = "the evidence is older than the policy allows"
        yield Claim("age", wanted, f"{challenge.age} s", Outcome.WRONG, why)
    else:
        yield Claim("age", wanted, f"{challenge.age} s", Outcome.OK)


def check_faults(rules: Rules, token: Evidence) -> Iterator[Claim]:
    """The claim "faults", when the rules ask for one."""
    if rules.maximum_faults is None:
        return
    counts = dict(zip(token.enclaves, token.health.counts, strict=True))
    wanted = f"at most {rules.maximum_faults} of each enclave since boot"
    found = ", ".join(f"{name} {faults}" for name, (faults, _) in counts.items()) or "none"
    if all(faults <= rules.maximum_faults for faults, _ in counts.values()):
        yield Claim("faults", wanted, found, Outcome.OK)
    else:
        why = "an enclave fails more often than the policy allows"
        yield Claim("faults", wanted, found, Outcome.WRONG, why)


def check_settings(rules: Rules, token: Evidence) -> Iterator[Claim]:
    """The claim "settings", when the rules list them."""
    if not rules.settings:
        return
    wanted = " or ".join(digest.hex() for digest in rules.settings)
    found = "not told" if token.settings is None else token.settings.hex()
    if token.settings is None:
        why = "the evidence does not tell the board's settings: its image reads none"
        yield Claim("settings", wanted, found, Outcome.WRONG, why)
    elif token.settings not in rules.settings:
        why = "the board was given other settings than the policy allows"
        yield Claim("settings", wanted, found, Outcome.WRONG, why)
    else:
        yield Claim("settings", wanted, found, Outcome.OK)


def check_version(rules: Rules, version: str) -> Iterator[Claim]:
    """The claim "version", when the rules ask for one. `version` is the reference values'."""
    if not rules.versions:
        return
    wanted = " or ".join(rules.versions)
    if any(accepts(each, version) for each in rules.versions):
        yield Claim("version", wanted, version, Outcome.OK)
    else:
        why = "the policy does not accept this version"
        yield Claim("version", wanted, version, Outcome.WRONG, why)


def check_flows(rules: Rules, digest: bytes, flows: FlowBook) -> Iterator[Claim]:
    """The claim "flows", when the rules list them. `digest` is of the flow policy measured."""
    if rules.flows is None:
        return
    wanted = "; ".join(map(str, rules.flows)) or "none"
    routes = flows.routes(digest)
    if routes is None:
        why = "nobody gave the verifier the flow policy with this digest"
        yield Claim("flows", wanted, digest.hex(), Outcome.UNCHECKED, why)
        return
    found = "; ".join(map(str, routes)) or "none"
    beyond = [route for route in routes if route not in rules.flows]
    if beyond:
        why = f"the policy does not allow that {', nor that '.join(r.words() for r in beyond)}"
        yield Claim("flows", wanted, found, Outcome.WRONG, why)
    else:
        yield Claim("flows", wanted, found, Outcome.OK)
