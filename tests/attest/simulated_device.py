# SPDX-License-Identifier: Apache-2.0
"""A device in Python: real keys, real signatures, the DICE oracle, and every knob to lie with."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace

from cryptography.hazmat.primitives.asymmetric import ec

from attest import certificate, dice, endorsement, evidence, p256, pairwise, psa_claims, psa_token
from attest.appraisal import Challenge, Expectations, NonceState
from attest.corim import ReferenceValues
from attest.evidence import Component, Evidence, Health
from attest.response import Response
from enclaves import cbor, cose

BOARD = "mps2-an385"
NONCE = bytes(range(32))


def digest(text: str) -> bytes:
    """A SHA-256 that stands for some measured thing."""
    return hashlib.sha256(text.encode()).digest()


def private_key(number: int) -> p256.PrivateKey:
    """A key that is the same on every run."""
    return ec.derive_private_key(number, ec.SECP256R1())


OPERATOR = private_key(0x0123456789ABCDEF)
OTHER_OPERATOR = private_key(0xFEDCBA9876543210)
SIGNER = private_key(0x1111111111111111)

REFERENCES = ReferenceValues(
    implementation_id=endorsement.implementation_id(BOARD),
    board=BOARD,
    appliance="heart-diary",
    version="1.2.3",
    boot=digest("boot"),
    image_a=digest("image a"),
    image_b=digest("image b"),
    policy=digest("policy"),
    runtime=digest("runtime"),
    enclaves=(("sensor", digest("sensor")), ("coach", digest("coach"))),
    signer_id=p256.key_hash(SIGNER.public_key()),
    security_counter=7,
)


@dataclass(frozen=True, slots=True)
class SimulatedDevice:
    """What boot measures is in the first fields, what the token says in `token_changes`."""

    secret: bytes = digest("unique device secret")
    board: str = BOARD
    boot: bytes = REFERENCES.boot
    image: bytes = REFERENCES.image_a
    policy: bytes = REFERENCES.policy
    signer_id: bytes = REFERENCES.signer_id
    counter: int = REFERENCES.security_counter
    lifecycle: int = 0x3000
    mode: int = int(dice.Mode.NORMAL)
    runtime: bytes = REFERENCES.runtime
    enclaves: tuple[tuple[str, bytes], ...] = REFERENCES.enclaves
    radio: bytes | None = None
    version: str | None = REFERENCES.version
    token_changes: dict[str, object] = field(default_factory=dict)

    @property
    def identity(self) -> p256.PrivateKey:
        return dice.key_pair(self.secret)

    @property
    def descriptor(self) -> bytes:
        return dice.configuration_descriptor(self.boot, self.policy, self.counter, self.board)

    @property
    def inputs(self) -> dice.Inputs:
        configuration = hashlib.sha256(self.descriptor).digest()
        return dice.Inputs(self.image, configuration, self.signer_id, self.mode)

    @property
    def alias(self) -> p256.PrivateKey:
        return dice.key_pair(dice.attestation_cdi(self.secret, self.inputs))

    @property
    def certificate(self) -> bytes:
        return certificate.issue(
            self.identity, self.alias.public_key(), self.inputs, self.descriptor
        )

    @property
    def identity_facts(self) -> endorsement.Identity:
        public = self.identity.public_key()
        return endorsement.Identity(
            p256.instance_id(public),
            p256.xy(public),
            endorsement.implementation_id(self.board),
            self.boot,
        )

    def evidence(self, nonce: bytes = NONCE) -> Evidence:
        parts = [
            ("boot", self.boot, None),
            ("runtime", self.runtime, None),
            ("appliance", self.image, self.version),
            ("policy", self.policy, None),
            *((f"enclave:{name}", code, None) for name, code in self.enclaves),
        ]
        if self.radio is not None:
            parts.append(("radio", self.radio, None))
        honest = Evidence(
            nonce=nonce,
            instance_id=self.identity_facts.instance_id,
            implementation_id=self.identity_facts.implementation_id,
            boot_seed=digest("boot seed"),
            client_id=-1,
            lifecycle=self.lifecycle,
            components=tuple(Component(k, v, self.signer_id, version) for k, v, version in parts),
            uptime=12,
            boot_count=3,
            health=Health(digest("log"), 0, 5, tuple((0, 0) for _ in self.enclaves)),
        )
        return replace(honest, **self.token_changes)  # type: ignore[arg-type]

    def answer(self, nonce: bytes = NONCE) -> Response:
        """The reply of SMP group 64."""
        return Response(psa_token.write(self.evidence(nonce), self.alias), self.certificate)

    def pairwise_key(self, verifier: str) -> p256.PrivateKey:
        """As `services/attest_local.c` derives it (its first candidate)."""
        secret = self.alias.private_numbers().private_value.to_bytes(32, "big")
        info = b"coffret pairwise" + pairwise.verifier_id(verifier)
        block = hashlib.sha256(b"\0\0\0\1" + secret + info).digest()
        return ec.derive_private_key(int.from_bytes(block, "big"), ec.SECP256R1())

    def pairwise_claims(self, verifier: str, nonce: bytes = NONCE) -> dict[int, object]:
        """What the verifier of that name is shown."""
        told = psa_claims.to_map(self.evidence(nonce))
        common = (
            psa_claims.CLIENT_ID,
            psa_claims.LIFECYCLE,
            psa_claims.IMPLEMENTATION_ID,
            psa_claims.COMPONENTS,
        )
        return {
            psa_claims.NONCE: nonce,
            psa_claims.INSTANCE_ID: p256.instance_id(self.pairwise_key(verifier).public_key()),
            psa_claims.PROFILE: pairwise.PROFILE_URI,
            **{key: told[key] for key in common},
        }

    def pairwise_word(
        self, verifier: str, operator: p256.PrivateKey = OPERATOR, now: int = 1_760_000_000
    ) -> bytes:
        """What the operator says of the key for that verifier."""
        public = p256.xy(self.pairwise_key(verifier).public_key())
        enrolment = evidence.Enrolment(pairwise.verifier_id(verifier), public)
        boot = certificate.read(self.certificate)
        return pairwise.endorse(self.evidence(), enrolment, boot, operator, now)

    def pairwise_answer(self, verifier: str, nonce: bytes = NONCE) -> Response:
        """The reply of SMP group 64, command 1, with the operator's word."""
        payload = cbor.encode(self.pairwise_claims(verifier, nonce))
        token = cose.sign1(payload, self.pairwise_key(verifier))
        return Response(token, b"", self.pairwise_word(verifier))

    def endorsed_by(self, operator: p256.PrivateKey = OPERATOR) -> bytes:
        return endorsement.issue(self.identity_facts, operator, 1_760_000_000)


GOOD = SimulatedDevice()
GOOD_ENDORSEMENT = GOOD.endorsed_by()
OPERATOR_PUBLIC = OPERATOR.public_key()


def expectations(
    nonce: bytes = NONCE,
    state: NonceState = NonceState.FRESH,
    endorsed: bytes | None = GOOD_ENDORSEMENT,
    operator: p256.PublicKey | None = OPERATOR_PUBLIC,
    references: ReferenceValues | None = REFERENCES,
) -> Expectations:
    """What a verifier expects of the good device."""
    return Expectations(Challenge(nonce, state), endorsed, operator, references)
