# SPDX-License-Identifier: Apache-2.0
"""Appraisal: evidence against what is expected, claim by claim, in words (RFC 9334 section 8).

Pure: everything comes in as values, so the same inputs give the same verdict anywhere. What boot
measured is taken from the certificate, which the identity key signed before any image ran; the
token, which the image signs, must agree with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from attest import certificate as certificates
from attest import dice, endorsement, evidence, p256, policy, psa_token
from attest.certificate import Certificate
from attest.corim import ReferenceValues
from attest.endorsement import Endorsement
from attest.errors import AttestError
from attest.evidence import Component, Evidence
from attest.flows import EMPTY, FlowBook
from attest.policy import Policy, Rules
from attest.response import Response
from attest.verdict import Challenge, Claim, NonceState, Outcome, Verdict

__all__ = [
    "Challenge",
    "Claim",
    "Expectations",
    "NonceState",
    "Outcome",
    "Verdict",
    "appraise",
]

CLIENT_MANAGER = -1  # the manager asks for evidence; nobody else can


@dataclass(frozen=True, slots=True)
class Expectations:
    """What the verifier holds against the evidence.

    `endorsement` is the bytes from the inventory or the device (None: never endorsed), `operator`
    the key that must have signed it (None: this verifier has none), `references` the bundle's,
    `policy` what the relying party asks besides, `flows` the flow policies whose text is known.
    """

    challenge: Challenge
    endorsement: bytes | None
    operator: p256.PublicKey | None
    references: ReferenceValues | None
    policy: Policy = policy.DEFAULT
    flows: FlowBook = EMPTY


def appraise(
    response: Response, expected: Expectations, parsed: psa_token.Token | None = None
) -> Verdict:
    """Appraise one answer. Never raises for anything that a device sends.

    `parsed` is the response's token, for a caller that has parsed it already.
    """
    try:
        token = parsed or psa_token.parse(response.token)
    except AttestError as error:
        broken = _wrong("evidence", "a PSA attestation token", "malformed", error)
        return _verdict("?", [broken], expected)
    told = token.evidence
    device = told.instance_id.hex()
    try:
        certificate = certificates.parse(response.certificate)
    except AttestError as error:
        broken = _wrong("certificate", "a DICE certificate", "malformed", error)
        return _verdict(device, [check_nonce(told.nonce, expected.challenge), broken], expected)
    boot = certificate.certificate
    endorsed, endorsement_claim = _endorsement(told, expected)
    rules = expected.policy.rules_for(_appliance_name(expected))
    claims = [
        check_nonce(told.nonce, expected.challenge),
        *policy.check_age(rules, expected.challenge),
        _signature(token, boot),
        _certificate(certificate, endorsed),
        endorsement_claim,
        *_state(told, boot, rules),
        *policy.check_faults(rules, told),
        *policy.check_settings(rules, told),
        *check_firmware(_shown(told, boot, endorsed), expected.references, rules, expected.flows),
    ]
    return _verdict(device, claims, expected)


def _verdict(device: str, claims: list[Claim], expected: Expectations) -> Verdict:
    references = expected.references
    return Verdict(
        device=device,
        claims=tuple(claims),
        policy=expected.policy.identifier,
        appliance=_appliance_name(expected),
        version=None if references is None else references.version,
    )


def _appliance_name(expected: Expectations) -> str | None:
    return None if expected.references is None else expected.references.appliance


def check_nonce(nonce: bytes, challenge: Challenge) -> Claim:
    """The claim "nonce"."""
    expected, found = challenge.nonce.hex(), nonce.hex()
    if nonce != challenge.nonce:
        why = "the evidence answers another challenge: it is old or meant for somebody else"
        return Claim("nonce", expected, found, Outcome.WRONG, why)
    why = {
        NonceState.FRESH: "",
        NonceState.USED: "this nonce was answered before: the evidence is replayed",
        NonceState.EXPIRED: "this nonce was issued too long ago",
        NonceState.UNKNOWN: "this verifier never issued this nonce",
    }[challenge.state]
    return Claim("nonce", expected, found, Outcome.WRONG if why else Outcome.OK, why)


def _signature(token: psa_token.Token, boot: Certificate) -> Claim:
    wanted = f"signed by attestation key {boot.subject}"
    try:
        token.verify(boot.alias_key)
    except AttestError as error:
        return _wrong("signature", wanted, "another signature", error)
    return _ok("signature", wanted)


def _certificate(certificate: certificates.Parsed, endorsed: Endorsement | None) -> Claim:
    wanted = "issued by the device's endorsed identity key"
    if endorsed is None:
        why = "no endorsement says which identity key this device has"
        return Claim("certificate", wanted, "cannot be checked", Outcome.UNCHECKED, why)
    try:
        certificate.verify(endorsed.identity.public_key)
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


def _state(token: Evidence, boot: Certificate, rules: Rules) -> Iterator[Claim]:
    """Claims that need no reference values."""
    name = policy.lifecycle_name(token.lifecycle)
    found = f"{name} (0x{token.lifecycle:04x}), boot mode {boot.mode}"
    mode = dice.Mode.NORMAL if name == "secured" else dice.Mode.DEBUG
    wanted = f"{' or '.join(rules.lifecycle)}, boot mode {mode}"
    if name not in rules.lifecycle:
        why = f"the device is {name}: it may be open to debugging"
        yield Claim("lifecycle", wanted, found, Outcome.WRONG, why)
    elif boot.mode != mode:
        why = "boot started this session before the device was secured: reset it"
        yield Claim("lifecycle", wanted, found, Outcome.WRONG, why)
    else:
        yield Claim("lifecycle", wanted, found, Outcome.OK)
    yield check_caller(token.client_id)


def check_caller(client_id: int) -> Claim:
    """The claim "caller"."""
    asked = Outcome.OK if client_id == CLIENT_MANAGER else Outcome.WRONG
    why = "" if asked is Outcome.OK else "some other part of the device asked for this evidence"
    return Claim("caller", str(CLIENT_MANAGER), str(client_id), asked, why)


class Firmware(NamedTuple):
    """What a device shows of its firmware: the same for every device that runs the same.

    `components` are the token's, `endorsed_boot` the operator's word; the rest is what boot
    measured and certified.
    """

    implementation_id: bytes
    components: tuple[Component, ...]
    endorsed_boot: bytes | None
    boot_digest: bytes
    image_digest: bytes
    policy_digest: bytes
    security_counter: int
    board: str
    signer_id: bytes


def _shown(token: Evidence, boot: Certificate, endorsed: Endorsement | None) -> Firmware:
    return Firmware(
        token.implementation_id,
        token.components,
        None if endorsed is None else endorsed.identity.boot_digest,
        boot.boot_digest,
        boot.image_digest,
        boot.policy_digest,
        boot.security_counter,
        boot.board,
        boot.signer_id,
    )


@lru_cache(maxsize=256)  # a fleet runs few images, and asks of each the same
def check_firmware(
    shown: Firmware, references: ReferenceValues | None, rules: Rules, flows: FlowBook
) -> tuple[Claim, ...]:
    """The claims against the reference values."""
    if references is None:
        why = "there are no reference values: name the bundle the device should run"
        return (Claim("reference values", "a bundle", "none", Outcome.UNCHECKED, why),)
    return tuple(_references(shown, references, rules, flows))


def _references(
    boot: Firmware, references: ReferenceValues, rules: Rules, flows: FlowBook
) -> Iterator[Claim]:
    """Claims against the bundle's reference values."""
    yield _board(boot, references)
    parts = {part.type: part for part in boot.components}  # the reader saw to the fixed ones
    yield _boot(parts["boot"], boot, references)
    yield _digest("runtime", references.runtime, parts["runtime"].value)
    appliance = _appliance(parts["appliance"], boot, references)
    yield appliance
    if appliance.ok:
        yield from policy.check_version(rules, references.version)
    why = _flow_change(references.policy, boot.policy_digest, flows)
    yield _measured("policy", (references.policy,), parts["policy"], boot.policy_digest, why)
    yield from policy.check_flows(rules, boot.policy_digest, flows)
    yield from _enclaves(boot, references)
    yield from _radio(parts.get(evidence.RADIO), references.radio)
    yield _signer(boot, references)
    yield _counter(boot, references, rules)


def _flow_change(expected: bytes, found: bytes, flows: FlowBook) -> str:
    """Which flow changed, where both policies are known."""
    changes = flows.changes(expected, found) if expected != found else ()
    if changes:
        return f"another flow policy: {'; '.join(changes)}"
    return "another flow policy: other data may leave this device than the bundle says"


def _board(boot: Firmware, references: ReferenceValues) -> Claim:
    expected = _name(references.implementation_id)
    found = _name(boot.implementation_id)
    if boot.implementation_id != references.implementation_id:
        why = "another kind of device than the bundle is for"
        return Claim("board", expected, found, Outcome.WRONG, why)
    if boot.board != references.board:
        why = "boot certified another board name"
        return Claim("board", references.board, boot.board, Outcome.WRONG, why)
    return Claim("board", expected, found, Outcome.OK)


def _boot(part: Component, boot: Firmware, references: ReferenceValues) -> Claim:
    if boot.endorsed_boot not in (None, boot.boot_digest):
        expected, found = (boot.endorsed_boot or b"").hex(), boot.boot_digest.hex()
        why = "boot is not the one the operator endorsed"
        return Claim("boot", expected, found, Outcome.WRONG, why)
    why = "boot is not the one the bundle was built with"
    return _measured("boot", (references.boot,), part, boot.boot_digest, why)


def _appliance(part: Component, boot: Firmware, references: ReferenceValues) -> Claim:
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


def _enclaves(boot: Firmware, references: ReferenceValues) -> Iterator[Claim]:
    reported, expected = evidence.enclaves(boot.components), dict(references.enclaves)
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


def _radio(part: Component | None, expected: bytes | None) -> Iterator[Claim]:
    """What the image was built for; nothing measures the module itself."""
    found = None if part is None else part.value
    if found is None and expected is None:
        return
    wanted, told = (digest.hex() if digest else "absent" for digest in (expected, found))
    if found == expected:
        yield Claim(evidence.RADIO, wanted, told, Outcome.OK)
    else:
        why = "the image was built for other firmware in the radio module than the bundle's"
        yield Claim(evidence.RADIO, wanted, told, Outcome.WRONG, why)


def _signer(boot: Firmware, references: ReferenceValues) -> Claim:
    expected = references.signer_id
    for found in (boot.signer_id, *(part.signer_id for part in boot.components)):
        if found != expected:
            why = "the image was signed with another key than the bundle"
            return Claim("signing key", expected.hex(), found.hex(), Outcome.WRONG, why)
    return Claim("signing key", expected.hex(), expected.hex(), Outcome.OK)


def _counter(boot: Firmware, references: ReferenceValues, rules: Rules) -> Claim:
    least = max(references.security_counter, rules.minimum_security_counter)
    expected, found = f"at least {least}", str(boot.security_counter)
    if boot.security_counter < least:
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
