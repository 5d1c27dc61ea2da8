# SPDX-License-Identifier: Apache-2.0
"""One device's story, put together for people: who it is, what it runs, why it is not trusted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from attest import certificate as certificates
from attest import pairwise, psa_token, response
from attest.errors import AttestError
from attest.evidence import Component
from attest.explain import explain
from attest.inventory import Device, Inventory
from attest.policy import lifecycle_name
from attest.record import mildness
from attest.service.fleet import Change, Fleet, Member, Result
from attest.service.references import flow_policy
from attest.verdict import Claim, Outcome, Verdict
from enclaves.policy import Policy
from enclaves.policy_reader import PolicyError, read_policy
from enclaves.proof import prove
from enclaves.report import NO_DATA, sentences

HISTORY = 60
NAMES = {
    "appliance": "Appliance image",
    "board": "Kind of board",
    "boot": "Boot loader",
    "caller": "Who asked for the evidence",
    "certificate": "Certificate chain",
    "endorsement": "Endorsement",
    "evidence": "Evidence",
    "lifecycle": "Life cycle",
    "age": "Age",
    "flows": "Ways out",
    "nonce": "Freshness",
    "policy": "Flow policy",
    "reference values": "Reference values",
    "runtime": "Runtime",
    "security counter": "Security counter",
    "settings": "Settings of this board",
    "signature": "Signature of the evidence",
    "signing key": "Signing key",
    "version": "Version",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One claim as the page shows it. `mark` is ok, wrong or unchecked."""

    name: str
    mark: str
    expected: str
    found: str
    why: str


@dataclass(frozen=True, slots=True)
class Trouble:
    """One claim that is not as expected, with what it means and what to do."""

    line: Line
    means: str
    do: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What the evidence says that no claim repeats. `certificate`: None of pairwise identities."""

    lifecycle: str
    security_counter: int
    certificate: str | None
    policy: bytes
    settings: str | None  # digest; None: no enclave reads them, or a pairwise identity
    parts: tuple[tuple[str, str, str], ...]  # name, version or "", digest


@dataclass(frozen=True, slots=True)
class Flows:
    """What a flow policy lets leave the device. `known` False: nobody published it here."""

    digest: str
    known: bool
    sentences: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Story:
    """Everything the device page shows."""

    member: Member
    device: Device | None
    latest: Result | None
    lines: tuple[Line, ...]
    headline: str
    troubles: tuple[Trouble, ...]  # the worst first
    facts: Facts | None
    flows: Flows | None
    expected_flows: Flows | None  # only when the device runs others
    results: tuple[Result, ...]
    changes: tuple[Change, ...]

    @property
    def silent(self) -> bool:
        """Whether it is unknown only because it reports no more."""
        return self.latest is not None and self.member.verdict != self.latest.verdict


def tell(inventory: Inventory, member: Member) -> Story:
    """Read the story of a device from the store."""
    engine = inventory.engine
    fleet = Fleet(engine)
    results = fleet.results(member.instance_id, limit=HISTORY)
    latest = results[0] if results else None
    facts = None if latest is None else facts_of(latest)
    wanted = None if latest is None else _expected_policy(latest)
    flows = None if facts is None else _flows(engine, facts.policy)
    differs = wanted is not None and facts is not None and wanted != facts.policy
    return Story(
        member=member,
        device=inventory.device(member.instance_id),
        latest=latest,
        lines=() if latest is None else lines_of(latest),
        headline="" if latest is None else explain(verdict_of(latest)).headline,
        troubles=() if latest is None else troubles_of(latest),
        facts=facts,
        flows=flows,
        expected_flows=_flows(engine, wanted) if differs and wanted is not None else None,
        results=tuple(results),
        changes=tuple(fleet.changes(member.instance_id)),
    )


def verdict_of(result: Result) -> Verdict:
    """The verdict as it was when it was kept."""
    device = "?" if result.instance_id is None else result.instance_id.hex()
    return Verdict(device, tuple(_claim(each) for each in result.claims))


def lines_of(result: Result) -> tuple[Line, ...]:
    """A result's claims."""
    return tuple(_line(claim) for claim in verdict_of(result).claims)


def troubles_of(result: Result) -> tuple[Trouble, ...]:
    """What is not as expected, explained, the worst first."""
    verdict = verdict_of(result)
    reasons = {reason.claim: reason for reason in explain(verdict).reasons}
    failing = sorted((claim for claim in verdict.claims if not claim.ok), key=mildness)
    return tuple(
        Trouble(_line(claim), reasons[claim.claim].means, reasons[claim.claim].do)
        for claim in failing
    )


def _claim(kept: Mapping[str, object]) -> Claim:
    outcome = kept.get("outcome") or ("ok" if kept["ok"] else "wrong")  # older ones have none
    return Claim(
        claim=str(kept["claim"]),
        expected=str(kept["expected"]),
        found=str(kept["found"]),
        outcome=Outcome(outcome),
        why=str(kept["why"]),
    )


def _line(claim: Claim) -> Line:
    kind, _, part = claim.claim.partition(":")
    name = f"Enclave {part}" if part else NAMES.get(kind, kind)
    return Line(name, claim.outcome.value, claim.expected, claim.found, claim.why)


def facts_of(result: Result) -> Facts | None:
    """What the evidence itself says; None when it is malformed."""
    try:
        answer = response.unpack(result.evidence)
        if not answer.certificate:
            return _pairwise_facts(answer)
        token = psa_token.read(answer.token)
        boot = certificates.read(answer.certificate)
    except AttestError:
        return None
    return Facts(
        lifecycle=lifecycle_name(token.lifecycle),
        security_counter=boot.security_counter,
        certificate=boot.subject,
        policy=boot.policy_digest,
        settings=None if token.settings is None else token.settings.hex(),
        parts=_parts(token.components),
    )


def _pairwise_facts(answer: response.Response) -> Facts | None:
    """The operator's word stands where boot's certificate stands otherwise."""
    shown = pairwise.parse_answer(answer).shown
    if answer.endorsement is None:
        return None
    endorsed = pairwise.read(answer.endorsement)
    return Facts(
        lifecycle=lifecycle_name(shown.lifecycle),
        security_counter=endorsed.security_counter,
        certificate=None,
        policy=endorsed.policy_digest,
        settings=None,
        parts=_parts(shown.components),
    )


def _parts(components: tuple[Component, ...]) -> tuple[tuple[str, str, str], ...]:
    return tuple((part.type, part.version or "", part.value.hex()) for part in components)


def policy_of(engine: sa.Engine, digest: bytes) -> Policy | None:
    """A published flow policy."""
    document = flow_policy(engine, digest)
    if document is None:
        return None
    try:
        return read_policy(document)
    except PolicyError:  # of a release with another format
        return None


def _flows(engine: sa.Engine, digest: bytes) -> Flows:
    policy = policy_of(engine, digest)
    if policy is None:
        return Flows(digest.hex(), known=False)
    said = sentences(policy.graph, prove(policy.graph)) or [NO_DATA]
    return Flows(digest.hex(), known=True, sentences=tuple(said))


def _expected_policy(result: Result) -> bytes | None:
    for claim in result.claims:
        if claim["claim"] == "policy":
            try:
                return bytes.fromhex(str(claim["expected"]))
            except ValueError:
                return None
    return None
