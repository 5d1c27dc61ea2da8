# SPDX-License-Identifier: Apache-2.0
"""Pairwise identities: a key for each verifier, so that two of them cannot tell one device again.

The device derives the key from its attestation key and the verifier's id, and names it to the
operator in an ordinary token (`evidence.Enrolment`). The operator, who appraised that token,
endorses the key for that verifier without naming the device. The verifier gets tokens of that key,
which say only what all devices with the image say. `docs/security-model.md` has what that is worth.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from attest import appraisal, p256, policy, psa_claims, psa_token
from attest.appraisal import Firmware
from attest.certificate import Certificate
from attest.corim import ReferenceValues
from attest.endorsement import alleged, board_of, opened, signed
from attest.errors import AttestError, EndorsementError, EvidenceError, PublicKeyError
from attest.evidence import Component, Enrolment, Evidence
from attest.flows import EMPTY, FlowBook
from attest.maps import Fields
from attest.policy import Policy
from attest.response import Response
from attest.verdict import Challenge, Claim, Outcome, Verdict
from enclaves import cbor, cose

PROFILE_URI = "urn:uuid:0b5e1c34-27d9-4f0a-8c6e-c0ff2e7000a2"
CONTENT_TYPE = "application/vnd.coffret.pairwise+cbor"
WORD = "one for a pairwise identity"
VERSION = 1
DAY_S = 24 * 60 * 60  # issue times are rounded down to it: two of one minute would be one device's

(
    KEY_VERSION,
    KEY_VERIFIER,
    KEY_PUBLIC,
    KEY_IMPLEMENTATION_ID,
    KEY_BOOT,
    KEY_IMAGE,
    KEY_POLICY,
    KEY_COUNTER,
    KEY_SIGNER,
    KEY_LIFECYCLE,
    KEY_ISSUED,
) = range(1, 12)


def verifier_id(name: str) -> bytes:
    """The id of the verifier that calls itself `name`, for instance its URL: 32 bytes."""
    return hashlib.sha256(b"coffret verifier\0" + name.encode()).digest()


@dataclass(frozen=True, slots=True)
class Endorsement:
    """The operator's word: a device of mine that runs this has this key for this verifier.

    `issued` is the start of a day, seconds since 1970, UTC. The rest is what boot certified.
    """

    verifier: bytes
    public_key: bytes  # X || Y
    implementation_id: bytes
    boot_digest: bytes
    image_digest: bytes
    policy_digest: bytes
    security_counter: int
    signer_id: bytes
    lifecycle: int
    issued: int


@dataclass(frozen=True, slots=True)
class Shown:
    """The claims of a pairwise token."""

    nonce: bytes
    instance_id: bytes  # of the pairwise key
    client_id: int
    lifecycle: int
    implementation_id: bytes
    components: tuple[Component, ...]


@dataclass(frozen=True, slots=True)
class Token:
    """A parsed pairwise token: its claims are allegations until its signature was checked."""

    shown: Shown
    message: cose.Sign1


@dataclass(frozen=True, slots=True)
class Expectations:
    """What the verifier called `verifier` holds against the evidence."""

    verifier: str
    challenge: Challenge
    operator: p256.PublicKey | None
    references: ReferenceValues | None
    policy: Policy = policy.DEFAULT
    flows: FlowBook = EMPTY


def endorse(
    told: Evidence, enrolment: Enrolment, boot: Certificate, operator: p256.PrivateKey, now: int
) -> bytes:
    """Sign the word about a key. Only for evidence that was appraised and is trusted.

    `now` is in seconds since 1970.
    """
    payload = {
        KEY_VERSION: VERSION,
        KEY_VERIFIER: enrolment.verifier,
        KEY_PUBLIC: enrolment.public_key,
        KEY_IMPLEMENTATION_ID: told.implementation_id,
        KEY_BOOT: boot.boot_digest,
        KEY_IMAGE: boot.image_digest,
        KEY_POLICY: boot.policy_digest,
        KEY_COUNTER: boot.security_counter,
        KEY_SIGNER: boot.signer_id,
        KEY_LIFECYCLE: told.lifecycle,
        KEY_ISSUED: now - now % DAY_S,
    }
    return signed(payload, operator, CONTENT_TYPE)


def verify(data: bytes, operator: p256.PublicKey) -> Endorsement:
    """Parse and verify under the operator's key. Raises EndorsementError."""
    return _endorsed(opened(data, operator, CONTENT_TYPE, WORD))


def read(data: bytes) -> Endorsement:
    """What an endorsement says WITHOUT verifying its signature. Raises EndorsementError."""
    return _endorsed(alleged(data, CONTENT_TYPE, WORD))


def _endorsed(payload: cbor.Value) -> Endorsement:
    fields = Fields(payload, "endorsement", EndorsementError)
    fields.expect(KEY_VERSION, "version", VERSION)
    endorsed = Endorsement(
        verifier=fields.data(KEY_VERIFIER, "verifier", 32),
        public_key=fields.data(KEY_PUBLIC, "public key", p256.XY_BYTES),
        implementation_id=fields.data(KEY_IMPLEMENTATION_ID, "implementation id", 32),
        boot_digest=fields.data(KEY_BOOT, "boot digest", 32),
        image_digest=fields.data(KEY_IMAGE, "image digest", 32),
        policy_digest=fields.data(KEY_POLICY, "policy digest", 32),
        security_counter=fields.uint(KEY_COUNTER, "security counter", psa_claims.UINT32),
        signer_id=fields.data(KEY_SIGNER, "signer id", 32),
        lifecycle=fields.uint(KEY_LIFECYCLE, "lifecycle", 0x60FF),
        issued=fields.uint(KEY_ISSUED, "issue time", (1 << 53) - 1),
    )
    fields.end()
    if endorsed.issued % DAY_S:
        raise EndorsementError("endorsement: the issue time is not that of a day")
    board_of(endorsed.implementation_id)
    try:
        p256.from_xy(endorsed.public_key)
    except PublicKeyError as error:
        raise EndorsementError(f"endorsement: {error}") from error
    return endorsed


def parse(token: bytes) -> Token:
    """Parse once, to verify later. Raises EvidenceError, which names the claim."""
    message = psa_token.read_message(token)
    fields = Fields(psa_claims.decode(message.payload), "token", EvidenceError)
    fields.expect(psa_claims.PROFILE, "profile", PROFILE_URI)
    shown = Shown(
        nonce=fields.data(psa_claims.NONCE, "nonce", 32),
        instance_id=fields.data(psa_claims.INSTANCE_ID, "instance id", 33),
        client_id=psa_claims.client(fields),
        lifecycle=fields.uint(psa_claims.LIFECYCLE, "lifecycle", 0x60FF),
        implementation_id=fields.data(psa_claims.IMPLEMENTATION_ID, "implementation id", 32),
        components=psa_claims.components(fields),
    )
    fields.end()  # a claim beyond these would be one to tell the device by
    return Token(shown, message)


def parse_answer(response: Response) -> Token:
    """The token of an answer that names no device. Raises EvidenceError for any other answer."""
    token = parse(response.token)
    if response.certificate:
        raise EvidenceError("a certificate, which names the device, beside a pairwise token")
    return token


def appraise(response: Response, expected: Expectations, parsed: Token | None = None) -> Verdict:
    """Appraise one answer for the verifier it is for. Never raises for what a device sends.

    `parsed` is the answer's token, for a caller that has parsed it already.
    """
    try:
        token = parsed or parse_answer(response)
    except AttestError as error:
        wanted = "a pairwise attestation token"
        broken = Claim("evidence", wanted, "malformed", Outcome.WRONG, str(error))
        return _verdict("?", [broken], expected)
    shown = token.shown
    endorsed, claim = _endorsement(shown, response.endorsement, expected)
    rules = expected.policy.rules_for(_appliance(expected))
    claims = [
        appraisal.check_nonce(shown.nonce, expected.challenge),
        *policy.check_age(rules, expected.challenge),
        claim,
    ]
    if rules.maximum_faults is not None:
        why = "a pairwise token does not tell faults"
        claims.append(Claim("faults", "told", "not told", Outcome.UNCHECKED, why))
    if rules.settings:
        why = "a pairwise token does not tell settings: they could name the device"
        claims.append(Claim("settings", "told", "not told", Outcome.UNCHECKED, why))
    if endorsed is not None:
        claims += [_signature(token.message, endorsed), *_state(shown, endorsed, rules)]
        told = _firmware(shown, endorsed)
        claims += appraisal.check_firmware(told, expected.references, rules, expected.flows)
    return _verdict(shown.instance_id.hex(), claims, expected)


def _verdict(device: str, claims: list[Claim], expected: Expectations) -> Verdict:
    references = expected.references
    return Verdict(
        device=device,
        claims=tuple(claims),
        policy=expected.policy.identifier,
        appliance=_appliance(expected),
        version=None if references is None else references.version,
    )


def _appliance(expected: Expectations) -> str | None:
    return None if expected.references is None else expected.references.appliance


def _endorsement(
    shown: Shown, data: bytes | None, expected: Expectations
) -> tuple[Endorsement | None, Claim]:
    wanted = f"a pairwise identity for {expected.verifier}, endorsed by the operator"
    if data is None or expected.operator is None:
        what = "endorsement of this key" if data is None else "operator key to check it with"
        return None, Claim("endorsement", wanted, "none", Outcome.UNCHECKED, f"there is no {what}")
    try:
        endorsed = verify(data, expected.operator)
    except AttestError as error:
        return None, Claim("endorsement", wanted, "not valid", Outcome.WRONG, str(error))
    why = ""
    if endorsed.verifier != verifier_id(expected.verifier):
        why = "this identity is for another verifier"
    elif p256.instance_id_of(endorsed.public_key) != shown.instance_id:
        why = "the endorsement is for another pairwise identity"
    elif endorsed.implementation_id != shown.implementation_id:
        why = "the endorsement is for another kind of device"
    if why:
        return None, Claim("endorsement", wanted, "another", Outcome.WRONG, why)
    return endorsed, Claim("endorsement", wanted, wanted, Outcome.OK)


def _signature(message: cose.Sign1, endorsed: Endorsement) -> Claim:
    wanted = "signed by the pairwise key that the operator endorsed"
    try:
        cose.check1(message, p256.from_xy(endorsed.public_key))
    except cose.CoseError as error:
        return Claim("signature", wanted, "another signature", Outcome.WRONG, f"token: {error}")
    return Claim("signature", wanted, wanted, Outcome.OK)


def _state(shown: Shown, endorsed: Endorsement, rules: policy.Rules) -> Iterator[Claim]:
    name = policy.lifecycle_name(shown.lifecycle)
    wanted = " or ".join(rules.lifecycle)
    why = ""
    if name not in rules.lifecycle:
        why = f"the device is {name}: it may be open to debugging"
    elif shown.lifecycle != endorsed.lifecycle:
        why = "the operator endorsed it in another state"
    outcome = Outcome.WRONG if why else Outcome.OK
    yield Claim("lifecycle", wanted, f"{name} (0x{shown.lifecycle:04x})", outcome, why)
    yield appraisal.check_caller(shown.client_id)


def _firmware(shown: Shown, endorsed: Endorsement) -> Firmware:
    """The operator's word stands where boot's certificate stands otherwise."""
    return Firmware(
        shown.implementation_id,
        shown.components,
        endorsed.boot_digest,
        endorsed.boot_digest,
        endorsed.image_digest,
        endorsed.policy_digest,
        endorsed.security_counter,
        board_of(endorsed.implementation_id),
        endorsed.signer_id,
    )
