# SPDX-License-Identifier: Apache-2.0
"""What reaches a verifier, genuine: five documents, and how each is shown with the others."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

from attest import appraisal, dice, endorsement, p256, pairwise, psa_claims
from attest.evidence import Enrolment, GateUse, Health, Subject
from attest.policy import Policy, Rules
from attest.response import Response
from attest.verdict import Challenge, Verdict
from enclaves import cbor, cose
from tests.attest.simulated_device import (
    GOOD,
    NONCE,
    OPERATOR,
    OTHER_OPERATOR,
    REFERENCES,
    SimulatedDevice,
    digest,
    expectations,
)

VERIFIER = "https://bank.example"  # who sees pairwise identities here
ASKED = Subject("enclave:coach", 1, 0, ((0x40000000, 3),), (GateUse(0, 1, 60),))


def _enrolled(device: SimulatedDevice, verifier: str) -> Enrolment:
    public = p256.xy(device.pairwise_key(verifier).public_key())
    return Enrolment(pairwise.verifier_id(verifier), public)


GIVEN = digest("settings of this board")
OURS = replace(
    GOOD,
    token_changes={
        "subject": ASKED,
        "enrolment": _enrolled(GOOD, VERIFIER),
        "settings": GIVEN,
    },
)


def _elsewhere(what: str, **changes: object) -> SimulatedDevice:
    """A genuine device of which all differs that can differ between two."""
    subject = Subject("enclave:sensor", 2, 4, ((0x50000000, 5),), (GateUse(1, 2, 61),))
    health = Health(digest(f"log of {what}"), 7, 9, ((1, 0), (0, 2)))
    told = {"uptime": 99, "boot_count": 98, "boot_seed": digest(f"seed of {what}")}
    nonce = digest(f"nonce of {what}")
    return replace(
        OURS,
        boot=digest(f"boot of {what}"),
        image=digest(f"image of {what}"),
        policy=digest(f"policy of {what}"),
        runtime=digest(f"runtime of {what}"),
        signer_id=digest(f"signer of {what}"),
        enclaves=tuple((name, digest(f"{name} of {what}")) for name, _ in OURS.enclaves),
        counter=3,
        mode=int(dice.Mode.DEBUG),
        lifecycle=0x2000,
        version="0.9.0",
        token_changes={
            "subject": subject,
            "enrolment": _enrolled(GOOD, what),
            "settings": digest(f"settings of {what}"),
            "health": health,
            "nonce": nonce,
            **told,
        },
        **changes,
    )


OTHER = _elsewhere("another device", secret=digest("another device"))
EARLIER = _elsewhere("last year")
STRICT = Policy(rules=Rules(maximum_faults=3, settings=(GIVEN,)))

Key = int | str
Path = tuple[Key, ...]


@dataclass(frozen=True)
class Document:
    """One of the five: how it is signed and which claims of a verdict speak about it."""

    name: str
    malformed: str  # the claim that says that it cannot be read
    unsigned: str  # the claim that says that its signature is not good
    key: p256.PrivateKey
    thief: p256.PrivateKey  # another key that an attacker can have: of a device of their own
    headers: Mapping[Key, object]
    tagged: bool
    payload: Mapping[Key, Any]
    earlier: bytes  # what this device showed before, and what another device shows: both genuine
    others: bytes


def _complete(claims: Mapping[Key, Any]) -> dict[Key, Any]:
    """The claims with all that RFC 9783 allows to be left out."""
    full = dict(deepcopy(claims))
    for part in full[psa_claims.COMPONENTS]:
        part.setdefault(psa_claims.COMPONENT_VERSION, "1.2.3")
        part[psa_claims.COMPONENT_METHOD] = psa_claims.METHOD
    return full


def _claims(device: SimulatedDevice) -> dict[Key, Any]:
    return _complete(psa_claims.to_map(device.evidence()))


def _token(device: SimulatedDevice) -> bytes:
    return cose.sign1(cbor.encode(_claims(device)), device.alias)


def _payload(message: bytes, *, tagged: bool) -> dict[Key, Any]:
    value = cbor.decode(cose.read1(message, tagged=tagged).payload)
    assert isinstance(value, dict)
    return value  # type: ignore[return-value]


def _operators_headers(content_type: str) -> dict[Key, object]:
    kid = p256.key_hash(OPERATOR.public_key())
    return {
        cose.HEADER_ALG: cose.ES256,
        cose.HEADER_CONTENT_TYPE: content_type,
        cose.HEADER_KID: kid,
    }


def _pairwise(device: SimulatedDevice) -> bytes:
    """A token for the verifier, and its own nonce."""
    nonce = device.evidence().nonce
    claims = _complete(device.pairwise_claims(VERIFIER, nonce))
    return cose.sign1(cbor.encode(claims), device.pairwise_key(VERIFIER))


ES256: dict[Key, object] = {cose.HEADER_ALG: cose.ES256}
ENDORSEMENT = OURS.endorsed_by()
TOKEN = Document(
    name="token",
    malformed="evidence",
    unsigned="signature",
    key=OURS.alias,
    thief=OTHER.alias,
    headers=ES256,
    tagged=True,
    payload=_claims(OURS),
    earlier=_token(EARLIER),
    others=_token(OTHER),
)
CERTIFICATE = Document(
    name="certificate",
    malformed="certificate",
    unsigned="certificate",
    key=OURS.identity,
    thief=OURS.alias,  # a compromised image has this one
    headers=ES256,
    tagged=False,
    payload=_payload(OURS.certificate, tagged=False),
    earlier=EARLIER.certificate,
    others=OTHER.certificate,
)
ENDORSED = Document(
    name="endorsement",
    malformed="endorsement",
    unsigned="endorsement",
    key=OPERATOR,
    thief=OTHER_OPERATOR,
    headers=_operators_headers(endorsement.CONTENT_TYPE),
    tagged=True,
    payload=_payload(ENDORSEMENT, tagged=True),
    earlier=EARLIER.endorsed_by(),
    others=replace(OTHER, board="mps2-an386").endorsed_by(),
)
PAIRWISE = Document(
    name="pairwise token",
    malformed="evidence",
    unsigned="signature",
    key=OURS.pairwise_key(VERIFIER),
    thief=OTHER.pairwise_key(VERIFIER),
    headers=ES256,
    tagged=True,
    payload=_complete(OURS.pairwise_claims(VERIFIER)),
    earlier=_pairwise(EARLIER),
    others=_pairwise(OTHER),
)
WORD = Document(
    name="pairwise endorsement",
    malformed="endorsement",
    unsigned="endorsement",
    key=OPERATOR,
    thief=OTHER_OPERATOR,
    headers=_operators_headers(pairwise.CONTENT_TYPE),
    tagged=True,
    payload=_payload(OURS.pairwise_word(VERIFIER), tagged=True),
    earlier=EARLIER.pairwise_word(VERIFIER, now=1_700_000_000),
    others=replace(OTHER, board="mps2-an386").pairwise_word("clinic"),
)
DOCUMENTS = (TOKEN, CERTIFICATE, ENDORSED, PAIRWISE, WORD)


def signed(document: Document, payload: bytes, key: p256.PrivateKey) -> bytes:
    """The message with the document's own headers, by any key."""
    more = {label: value for label, value in document.headers.items() if label != cose.HEADER_ALG}
    return cose.sign1(payload, key, more, tagged=document.tagged)


Expected = appraisal.Expectations | pairwise.Expectations


def shown(document: Document, message: bytes) -> tuple[Response, Expected]:
    """The good answer to a good verifier, this document in the place of the good one."""
    if document in (PAIRWISE, WORD):
        good = signed(PAIRWISE, cbor.encode(PAIRWISE.payload), PAIRWISE.key)
        token = message if document is PAIRWISE else good
        word = message if document is WORD else OURS.pairwise_word(VERIFIER)
        challenge = Challenge(NONCE)
        asked = pairwise.Expectations(VERIFIER, challenge, OPERATOR.public_key(), REFERENCES)
        return Response(token, b"", word), asked
    token = message if document is TOKEN else signed(TOKEN, cbor.encode(TOKEN.payload), TOKEN.key)
    chain = message if document is CERTIFICATE else OURS.certificate
    endorsed = message if document is ENDORSED else ENDORSEMENT
    expected = replace(expectations(endorsed=endorsed), policy=STRICT)
    return Response(token, chain), expected


def appraised(answer: Response, expected: Expected) -> Verdict:
    """As the verifier does whose expectations these are."""
    if isinstance(expected, pairwise.Expectations):
        return pairwise.appraise(answer, expected)
    return appraisal.appraise(answer, expected)
