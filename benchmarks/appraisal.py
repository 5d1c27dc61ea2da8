# SPDX-License-Identifier: Apache-2.0
"""Appraisal beside bare signature verification, on one core, on the same keys, in one run.

Full appraisal: parse token, certificate and endorsement, verify all three, check every claim and
the policy, and make the record that the inventory stores. Bare: `cryptography` verifies the same
three signatures over ready-made bytes, and nothing else.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from attest import certificate, dice, endorsement, p256, psa_token
from attest.appraisal import Challenge, Expectations, appraise
from attest.corim import ReferenceValues
from attest.evidence import Component, Evidence, Health
from attest.policy import Policy, Rules
from attest.record import Finding
from attest.response import Response
from benchmarks.measure import Measure
from benchmarks.workshop import Workshop
from enclaves import cose

BOARD = "mps2-an385"
ENCLAVES = ("sensor", "diary", "coach", "uplink")
DEVICES = 64
ROUNDS = 15
_ES256 = ec.ECDSA(hashes.SHA256())


@dataclass(frozen=True, slots=True)
class Case:
    """One device's answer, what is expected, and its three signatures ready for `verify`."""

    response: Response
    expected: Expectations
    signatures: tuple[tuple[p256.PublicKey, bytes, bytes], ...]


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _ready(document: bytes, key: p256.PublicKey) -> tuple[p256.PublicKey, bytes, bytes]:
    message = cose.read1(document, tagged=None)
    r, s = message.signature[:32], message.signature[32:]
    der = encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))
    return key, der, cose.signed_bytes(message.protected_bytes, message.payload)


def case(number: int, operator: p256.PrivateKey, public: p256.PublicKey, signer: bytes) -> Case:
    """An honest device with a secret of its own. A verifier has one operator key, `public`."""
    secret, nonce = _digest(f"device {number}"), _digest(f"nonce {number}")
    values = ReferenceValues(
        implementation_id=endorsement.implementation_id(BOARD),
        board=BOARD,
        appliance="heart-diary",
        version="1.0.0",
        boot=_digest("boot"),
        image_a=_digest("a"),
        image_b=_digest("b"),
        policy=_digest("policy"),
        runtime=_digest("runtime"),
        enclaves=tuple((name, _digest(name)) for name in ENCLAVES),
        signer_id=signer,
        security_counter=3,
    )
    descriptor = dice.configuration_descriptor(values.boot, values.policy, 3, BOARD)
    hashed = hashlib.sha256(descriptor).digest()
    inputs = dice.Inputs(values.image_a, hashed, signer, dice.Mode.NORMAL)
    identity = dice.key_pair(secret)
    alias = dice.key_pair(dice.attestation_cdi(secret, inputs))
    own = identity.public_key()
    facts = endorsement.Identity(
        p256.instance_id(own), p256.xy(own), values.implementation_id, values.boot
    )
    parts = [Component(kind, value, signer) for kind, value in values.components(0)]
    token = psa_token.write(
        Evidence(
            nonce=nonce,
            instance_id=facts.instance_id,
            implementation_id=values.implementation_id,
            boot_seed=_digest("seed"),
            client_id=-1,
            lifecycle=0x3000,
            components=tuple(parts),
            uptime=1000,
            boot_count=5,
            health=Health(_digest("log"), 0, 9, ((0, 0),) * len(ENCLAVES)),
        ),
        alias,
    )
    document = certificate.issue(identity, alias.public_key(), inputs, descriptor)
    endorsed = endorsement.issue(facts, operator, 1_760_000_000)
    rules = Rules(versions=(">=1.0",), minimum_security_counter=2, maximum_age=300)
    challenge = Challenge(nonce, age=1)
    return Case(
        Response(token, document),
        Expectations(challenge, endorsed, public, values, Policy("bench", rules)),
        (
            _ready(token, alias.public_key()),
            _ready(document, own),
            _ready(endorsed, public),
        ),
    )


def _appraise(each: Case) -> None:
    verdict = appraise(each.response, each.expected)
    assert verdict.trusted, verdict.differing
    device = bytes.fromhex(verdict.device)
    Finding.of(each.response, device, verdict, each.expected.challenge.nonce, 1_760_000_000)


def _verify(each: Case) -> None:
    for key, signature, message in each.signatures:
        key.verify(signature, message, _ES256)


def _verify_token(each: Case) -> None:
    key, signature, message = each.signatures[0]
    key.verify(signature, message, _ES256)


def _seconds(work: Callable[[Case], None], cases: list[Case]) -> float:
    start = time.process_time()
    for each in cases:
        work(each)
    return time.process_time() - start


def appraisal(_workshop: Workshop) -> Iterator[Measure]:
    """Appraisals a second of processor time beside bare verifications of as many signatures.

    Each round has devices of its own, first met (three signatures are checked), then polled again
    (the token's alone is: certificate and endorsement are known). All take turns, so that whatever
    else runs disturbs all; the median of the rounds counts.
    """
    operator = ec.derive_private_key(0xC0FFEE, ec.SECP256R1())
    public = operator.public_key()
    signer = p256.key_hash(ec.derive_private_key(0x51, ec.SECP256R1()).public_key())
    first, again, three, one = [], [], [], []
    for number in range(ROUNDS):
        numbers = range(number * DEVICES, (number + 1) * DEVICES)
        cases = [case(each, operator, public, signer) for each in numbers]
        three.append(_seconds(_verify, cases))
        first.append(_seconds(_appraise, cases))
        one.append(_seconds(_verify_token, cases))
        again.append(_seconds(_appraise, cases))
    for name, times, bare, count in (
        ("appraisals of devices first met", first, three, "3 signatures"),
        ("appraisals of devices polled again", again, one, "1 signature"),
    ):
        rate, limit = (round(DEVICES / median(each)) for each in (times, bare))
        yield Measure.beside(name, rate, "a second", f"bare verification ({count})", limit)
