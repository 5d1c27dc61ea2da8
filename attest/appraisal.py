# SPDX-License-Identifier: Apache-2.0
"""Appraisal: evidence against what is expected, claim by claim, in words (RFC 9334 section 8).

Pure: everything comes in as values, so the same inputs give the same verdict anywhere. What boot
measured is taken from the certificate, which the identity key signed before any image ran; the
token, which the image signs, must agree with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from attest import certificate as certificates
from attest import dice, endorsement, evidence, p256
from attest.certificate import Certificate
from attest.corim import ReferenceValues
from attest.endorsement import Endorsement
from attest.errors import AttestError
from attest.evidence import Component, Evidence
from attest.response import Response

LIFECYCLE_SECURED = range(0x3000, 0x3100)  # RFC 9783 section 4.3.1
CLIENT_MANAGER = -1  # the manager asks for evidence; nobody else can
LIFECYCLE_NAMES = {
    0x00: "unknown",
    0x10: "assembly and test",
    0x20: "provisioning",
    0x30: "secured",
    0x40: "non-PSA debug",
    0x50: "recoverable debug",
    0x60: "decommissioned",
}


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


@dataclass(frozen=True, slots=True)
class Challenge:
    """The nonce that the verifier sent, and its state at the moment the answer came."""

    nonce: bytes
    state: NonceState = NonceState.FRESH


@dataclass(frozen=True, slots=True)
class Claim:
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
    """The result for one device. `device` is its instance id in hex, or "?" if it gave none."""

    device: str
    claims: tuple[Claim, ...]

    @property
    def verdict(self) -> str:
        """trusted, untrusted or unknown."""
        outcomes = {claim.outcome for claim in self.claims}
        if not outcomes or Outcome.WRONG in outcomes:
            return "untrusted"
        return "unknown" if Outcome.UNCHECKED in outcomes else "trusted"

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


@dataclass(frozen=True, slots=True)
class Expectations:
    """What the verifier holds against the evidence.

    `endorsement` is the bytes from the inventory or the device (None: never endorsed), `operator`
    the key that must have signed it (None: this verifier has none), `references` the bundle's.
    """

    challenge: Challenge
    endorsement: bytes | None
    operator: p256.PublicKey | None
    references: ReferenceValues | None


def appraise(response: Response, expected: Expectations) -> Verdict:
    """Appraise one answer. Never raises for anything that a device sends."""
    try:
        token = evidence.read(response.token)
    except AttestError as error:
        return Verdict("?", (_wrong("evidence", "a PSA attestation token", "malformed", error),))
    device = token.instance_id.hex()
    try:
        boot = certificates.read(response.certificate)
    except AttestError as error:
        broken = _wrong("certificate", "a DICE certificate", "malformed", error)
        return Verdict(device, (_nonce(token, expected.challenge), broken))
    endorsed, endorsement_claim = _endorsement(token, expected)
    claims = [
        _nonce(token, expected.challenge),
        _signature(response, boot),
        _certificate(response, boot, endorsed),
        endorsement_claim,
        *_state(token, boot),
        *_references(token, boot, endorsed, expected.references),
    ]
    return Verdict(device, tuple(claims))


def _nonce(token: Evidence, challenge: Challenge) -> Claim:
    expected, found = challenge.nonce.hex(), token.nonce.hex()
    if token.nonce != challenge.nonce:
        why = "the evidence answers another challenge: it is old or meant for somebody else"
        return Claim("nonce", expected, found, Outcome.WRONG, why)
    why = {
        NonceState.FRESH: "",
        NonceState.USED: "this nonce was answered before: the evidence is replayed",
        NonceState.EXPIRED: "this nonce was issued too long ago",
        NonceState.UNKNOWN: "this verifier never issued this nonce",
    }[challenge.state]
    return Claim("nonce", expected, found, Outcome.WRONG if why else Outcome.OK, why)


def _signature(response: Response, boot: Certificate) -> Claim:
    wanted = f"signed by attestation key {boot.subject}"
    try:
        evidence.check_signature(response.token, boot.alias_key)
    except AttestError as error:
        return _wrong("signature", wanted, "another signature", error)
    return _ok("signature", wanted)


def _certificate(response: Response, boot: Certificate, endorsed: Endorsement | None) -> Claim:
    wanted = "issued by the device's endorsed identity key"
    if endorsed is None:
        why = "no endorsement says which identity key this device has"
        return Claim("certificate", wanted, "cannot be checked", Outcome.UNCHECKED, why)
    try:
        certificates.check_issuer(boot, response.certificate, endorsed.identity.public_key)
    except AttestError as error:
        return _wrong("certificate", wanted, "another issuer or content", error)
    return _ok("certificate", wanted)


def _endorsement(token: Evidence, expected: Expectations) -> tuple[Endorsement | None, Claim]:
    wanted = "endorsed by the operator"
    if expected.endorsement is None:
        why = "this device was never endorsed: provision it"
        return None, Claim("endorsement", wanted, "none", Outcome.UNCHECKED, why)
    if expected.operator is None:
        why = "this verifier has no operator key to check it with"
        return None, Claim("endorsement", wanted, "cannot be checked", Outcome.UNCHECKED, why)
    try:
        endorsed = endorsement.verify(expected.endorsement, expected.operator)
    except AttestError as error:
        return None, _wrong("endorsement", wanted, "not valid", error)
    identity = endorsed.identity
    if identity.instance_id != token.instance_id:
        why = "the endorsement is for another device"
        found = identity.instance_id.hex()
        return None, Claim("endorsement", token.instance_id.hex(), found, Outcome.WRONG, why)
    if identity.implementation_id != token.implementation_id:
        why = "the endorsement is for another kind of device"
        names = _name(identity.implementation_id), _name(token.implementation_id)
        return endorsed, Claim("endorsement", *names, Outcome.WRONG, why)
    return endorsed, _ok("endorsement", wanted)


def _state(token: Evidence, boot: Certificate) -> Iterator[Claim]:
    """Claims that need no reference values."""
    name = LIFECYCLE_NAMES.get(token.lifecycle >> 8, "reserved")
    found = f"{name} (0x{token.lifecycle:04x}), boot mode {boot.mode}"
    wanted = "secured (0x3000), boot mode 1"
    if token.lifecycle not in LIFECYCLE_SECURED:
        why = "the device is not in its secured state: it may be open to debugging"
        yield Claim("lifecycle", wanted, found, Outcome.WRONG, why)
    elif boot.mode != dice.Mode.NORMAL:
        why = "boot started this session before the device was secured: reset it"
        yield Claim("lifecycle", wanted, found, Outcome.WRONG, why)
    else:
        yield Claim("lifecycle", wanted, found, Outcome.OK)
    asked = Outcome.OK if token.client_id == CLIENT_MANAGER else Outcome.WRONG
    why = "" if asked is Outcome.OK else "some other part of the device asked for this evidence"
    yield Claim("caller", str(CLIENT_MANAGER), str(token.client_id), asked, why)


def _references(
    token: Evidence,
    boot: Certificate,
    endorsed: Endorsement | None,
    references: ReferenceValues | None,
) -> Iterator[Claim]:
    """Claims against the bundle's reference values."""
    if references is None:
        why = "there are no reference values: name the bundle the device should run"
        yield Claim("reference values", "a bundle", "none", Outcome.UNCHECKED, why)
        return
    yield _board(token, boot, references)
    parts = {part.type: part for part in token.components}  # evidence.read saw to the fixed ones
    yield _boot(parts["boot"], boot, endorsed, references)
    yield _digest("runtime", references.runtime, parts["runtime"].value)
    yield _appliance(parts["appliance"], boot, references)
    yield _measured(
        "policy",
        (references.policy,),
        parts["policy"],
        boot.policy_digest,
        "another flow policy: other data may leave this device than the bundle says",
    )
    yield from _enclaves(token, references)
    yield _signer(token, boot, references)
    yield _counter(boot, references)


def _board(token: Evidence, boot: Certificate, references: ReferenceValues) -> Claim:
    expected = _name(references.implementation_id)
    found = _name(token.implementation_id)
    if token.implementation_id != references.implementation_id:
        why = "another kind of device than the bundle is for"
        return Claim("board", expected, found, Outcome.WRONG, why)
    if boot.board != references.board:
        why = "boot certified another board name"
        return Claim("board", references.board, boot.board, Outcome.WRONG, why)
    return Claim("board", expected, found, Outcome.OK)


def _boot(
    part: Component, boot: Certificate, endorsed: Endorsement | None, references: ReferenceValues
) -> Claim:
    if endorsed is not None and endorsed.identity.boot_digest != boot.boot_digest:
        expected, found = endorsed.identity.boot_digest.hex(), boot.boot_digest.hex()
        why = "boot is not the one the operator endorsed"
        return Claim("boot", expected, found, Outcome.WRONG, why)
    why = "boot is not the one the bundle was built with"
    return _measured("boot", (references.boot,), part, boot.boot_digest, why)


def _appliance(part: Component, boot: Certificate, references: ReferenceValues) -> Claim:
    claim = _measured(
        "appliance",
        (references.image_a, references.image_b),
        part,
        boot.image_digest,
        "another image than the bundle's slot A or slot B",
    )
    if claim.ok and part.version not in (None, references.version):
        why = "the image is the bundle's, but it names another version"
        return Claim("appliance", references.version, str(part.version), Outcome.WRONG, why)
    return claim


def _enclaves(token: Evidence, references: ReferenceValues) -> Iterator[Claim]:
    reported, expected = token.enclaves, dict(references.enclaves)
    for name, digest in expected.items():
        claim = f"enclave:{name}"
        if name not in reported:
            why = "the evidence does not list this enclave"
            yield Claim(claim, digest.hex(), "absent", Outcome.WRONG, why)
        else:
            yield _digest(claim, digest, reported[name])
    for name, digest in reported.items():
        if name not in expected:
            why = "an enclave that the bundle does not have"
            yield Claim(f"enclave:{name}", "absent", digest.hex(), Outcome.WRONG, why)


def _signer(token: Evidence, boot: Certificate, references: ReferenceValues) -> Claim:
    expected = references.signer_id
    for found in (boot.signer_id, *(part.signer_id for part in token.components)):
        if found != expected:
            why = "the image was signed with another key than the bundle"
            return Claim("signing key", expected.hex(), found.hex(), Outcome.WRONG, why)
    return Claim("signing key", expected.hex(), expected.hex(), Outcome.OK)


def _counter(boot: Certificate, references: ReferenceValues) -> Claim:
    expected, found = f"at least {references.security_counter}", str(boot.security_counter)
    if boot.security_counter < references.security_counter:
        why = "an older image: known weaknesses may be open again"
        return Claim("security counter", expected, found, Outcome.WRONG, why)
    return Claim("security counter", expected, found, Outcome.OK)


def _measured(
    claim: str, accepted: tuple[bytes, ...], part: Component, certified: bytes, why: str
) -> Claim:
    """A digest that boot certified and the token repeats."""
    expected = " or ".join(digest.hex() for digest in accepted)
    found = certified.hex()
    if certified not in accepted:
        return Claim(claim, expected, found, Outcome.WRONG, why)
    if part.value != certified:
        lie = f"the token says {part.value.hex()}, but boot measured {found}"
        return Claim(claim, expected, part.value.hex(), Outcome.WRONG, lie)
    return Claim(claim, expected, found, Outcome.OK)


def _digest(claim: str, expected: bytes, found: bytes) -> Claim:
    if expected != found:
        why = f"{claim} is other code than the bundle's"
        return Claim(claim, expected.hex(), found.hex(), Outcome.WRONG, why)
    return Claim(claim, expected.hex(), found.hex(), Outcome.OK)


def _name(implementation_id: bytes) -> str:
    """An implementation id for people: its text, or hex when it is none."""
    text = implementation_id.rstrip(b"\0")
    if text.isascii() and text.decode("latin-1").isprintable():
        return text.decode("ascii")
    return implementation_id.hex()


def _ok(claim: str, expected: str) -> Claim:
    return Claim(claim, expected, expected, Outcome.OK)


def _wrong(claim: str, expected: str, found: str, error: AttestError) -> Claim:
    return Claim(claim, expected, found, Outcome.WRONG, str(error))
