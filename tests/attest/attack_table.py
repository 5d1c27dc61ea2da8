# SPDX-License-Identifier: Apache-2.0
"""Every field of what a device shows, times every way to forge it: a table made by rule.

Three documents reach a verifier: the token, the certificate of the key that signed it, and the
operator's endorsement. Each field of each stands in `FIELDS` with another value that could be
meant; each way of attacking is one function of a field. Where the attack is on the signature, it is
signed by keys that an attacker can have; where it is on the content, by the right key, so that
nothing but the check of that very field is left to refuse it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.asymmetric import ec, utils

from attest import certificate, dice, endorsement, evidence, p256
from attest.appraisal import Expectations
from attest.evidence import GateUse, Health, Subject
from attest.policy import Policy, Rules
from attest.response import Response
from enclaves import cbor, cose
from tests.attest.simulated_device import (
    GOOD,
    OPERATOR,
    OTHER_OPERATOR,
    SimulatedDevice,
    digest,
    expectations,
    private_key,
)

MARK = b"here is the field that this attack is about"
ASKED = Subject("enclave:coach", 1, 0, ((0x40000000, 3),), (GateUse(0, 1, 60),))
OURS = replace(GOOD, token_changes={"subject": ASKED})


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
        token_changes={"subject": subject, "health": health, "nonce": nonce, **told},
        **changes,
    )


OTHER = _elsewhere("another device", secret=digest("another device"))
EARLIER = _elsewhere("last year")
STRICT = Policy(rules=Rules(maximum_faults=3))
P384 = ec.derive_private_key(77, ec.SECP384R1())

Key = int | str
Path = tuple[Key, ...]


@dataclass(frozen=True)
class Document:
    """One of the three: how it is signed and which claims of a verdict speak about it."""

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


def _complete(claims: dict[int, Any]) -> dict[int, Any]:
    """The claims with all that RFC 9783 allows to be left out."""
    full = deepcopy(claims)
    for part in full[evidence.COMPONENTS]:
        part.setdefault(evidence.COMPONENT_VERSION, "1.2.3")
        part[evidence.COMPONENT_METHOD] = evidence.METHOD
    return full


def _payload(message: bytes, *, tagged: bool) -> dict[Key, Any]:
    value = cbor.decode(cose.read1(message, tagged=tagged).payload)
    assert isinstance(value, dict)
    return value  # type: ignore[return-value]


def _endorsed_headers(operator: p256.PrivateKey) -> dict[Key, object]:
    kid = p256.key_hash(operator.public_key())
    return {
        cose.HEADER_ALG: cose.ES256,
        cose.HEADER_CONTENT_TYPE: endorsement.CONTENT_TYPE,
        cose.HEADER_KID: kid,
    }


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
    payload=_complete(evidence.claims(OURS.evidence())),
    earlier=cose.sign1(cbor.encode(_complete(evidence.claims(EARLIER.evidence()))), EARLIER.alias),
    others=cose.sign1(cbor.encode(_complete(evidence.claims(OTHER.evidence()))), OTHER.alias),
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
    headers=_endorsed_headers(OPERATOR),
    tagged=True,
    payload=_payload(ENDORSEMENT, tagged=True),
    earlier=EARLIER.endorsed_by(),
    others=replace(OTHER, board="mps2-an386").endorsed_by(),
)
DOCUMENTS = (TOKEN, CERTIFICATE, ENDORSED)


@dataclass(frozen=True)
class Field:
    """A field, at `path`, and another value that could stand there.

    `claim` and `why` say who refuses that value when the right key has signed it; `claim` None is
    for what a device only tells (its uptime, say), where any value of the type is its own word.
    """

    document: Document
    name: str
    path: Path
    forged: object
    claim: str | None
    why: str = ""
    fixed: bool = False  # only one value may stand there
    optional: bool = False

    @property
    def value(self) -> Any:
        return _at(self.document.payload, self.path)

    def __str__(self) -> str:
        return f"{self.document.name}: {self.name}"


@dataclass(frozen=True)
class Case:
    """One attack: what is shown and expected, and the claim that must refuse it, and why."""

    field: str
    variant: str
    response: Response
    expected: Expectations
    claim: str
    why: str  # a regular expression

    def __str__(self) -> str:
        return f"{self.field}: {self.variant}"


# --- the fields


def _token_fields() -> Iterator[Field]:
    other = OTHER.identity_facts
    kind = endorsement.implementation_id("mps2-an386")
    yield from (
        Field(TOKEN, *rest)
        for rest in [
            ("nonce", (evidence.NONCE,), bytes(32), "nonce", "another challenge"),
            (
                "instance id",
                (evidence.INSTANCE_ID,),
                other.instance_id,
                "endorsement",
                "for another device",
            ),
            ("uptime", (evidence.UPTIME,), 1, None),
            ("boot count", (evidence.BOOT_COUNT,), 1, None),
            ("boot seed", (evidence.BOOT_SEED,), bytes(32), None),
            ("client id", (evidence.CLIENT_ID,), 3, "caller", "some other part of the device"),
            ("lifecycle", (evidence.LIFECYCLE,), 0x6000, "lifecycle", "is decommissioned"),
            (
                "implementation id",
                (evidence.IMPLEMENTATION_ID,),
                kind,
                "board",
                "another kind of device",
            ),
            (
                "software components",
                (evidence.COMPONENTS,),
                TOKEN.payload[evidence.COMPONENTS][:-1],
                "evidence",
                "not of each enclave",
            ),
            (
                "health",
                (evidence.HEALTH,),
                {**TOKEN.payload[evidence.HEALTH], evidence.HEALTH_ENCLAVES: [[9, 9], [0, 0]]},
                "faults",
                "fails more often",
            ),
            ("log digest", (evidence.HEALTH, evidence.HEALTH_LOG), bytes(32), None),
            ("log start", (evidence.HEALTH, evidence.HEALTH_LOG_FIRST), 1, None),
            ("log end", (evidence.HEALTH, evidence.HEALTH_LOG_NEXT), 1, None),
            (
                "fault counts",
                (evidence.HEALTH, evidence.HEALTH_ENCLAVES),
                [[4, 4], [0, 0]],
                "faults",
                "fails more often",
            ),
            (
                "subject's type",
                (evidence.SUBJECT, evidence.SUBJECT_TYPE),
                "enclave:spy",
                "evidence",
                "no enclave that is listed",
            ),
            ("subject's secrecy", (evidence.SUBJECT, evidence.SUBJECT_SECRECY), bytes(8), None),
            ("subject's integrity", (evidence.SUBJECT, evidence.SUBJECT_INTEGRITY), b"8" * 8, None),
            ("subject's grants", (evidence.SUBJECT, evidence.SUBJECT_GRANTS), [[1, 1]], None),
            ("subject's gates", (evidence.SUBJECT, evidence.SUBJECT_GATES), [[0, 0, 0]], None),
        ]
    )
    yield Field(
        TOKEN,
        "subject",
        (evidence.SUBJECT,),
        {**TOKEN.payload[evidence.SUBJECT], evidence.SUBJECT_TYPE: "enclave:nobody"},
        "evidence",
        "no enclave that is listed",
        optional=True,
    )
    yield Field(
        TOKEN,
        "profile",
        (evidence.PROFILE,),
        "tag:psacertified.org,2023:psa#tfm",
        "evidence",
        "profile .265. is not",
        fixed=True,
    )
    for number, part in enumerate(TOKEN.payload[evidence.COMPONENTS]):
        yield from _component_fields(number, part[evidence.COMPONENT_TYPE])


def _component_fields(number: int, kind: str) -> Iterator[Field]:
    at: Path = (evidence.COMPONENTS, number)
    wrong_type = (
        ("policy", "do not begin with") if number < 3 else ("enclave:", "begin with|unknown")
    )
    lies = "the token says|other code"
    version = ("appliance", "another version") if kind == "appliance" else (None, "")
    yield from (
        Field(TOKEN, "type of " + kind, (*at, evidence.COMPONENT_TYPE), wrong_type[0], "evidence",
              wrong_type[1]),
        Field(TOKEN, "value of " + kind, (*at, evidence.COMPONENT_VALUE), digest("evil"), kind,
              lies),
        Field(TOKEN, "version of " + kind, (*at, evidence.COMPONENT_VERSION), "9.9.9", *version,
              optional=True),
        Field(TOKEN, "signer of " + kind, (*at, evidence.COMPONENT_SIGNER), digest("evil"),
              "signing key", "another key than the bundle"),
        Field(TOKEN, "method of " + kind, (*at, evidence.COMPONENT_METHOD), "sha-1", "evidence",
              "measurement description .6. is not", fixed=True, optional=True),
    )  # fmt: skip


def _certificate_fields() -> Iterator[Field]:
    descriptor: Path = (certificate.CONFIGURATION_DESCRIPTOR,)
    key: Path = (certificate.SUBJECT_PUBLIC_KEY,)
    another = dice.configuration_descriptor(GOOD.boot, digest("any policy"), 7, GOOD.board)
    thief = p256.xy(private_key(77).public_key())
    stolen = certificate.cose_key(private_key(77).public_key())
    yield from (
        Field(CERTIFICATE, *rest)
        for rest in [
            ("issuer", (certificate.ISSUER,), "0" * 40, "certificate", "issued by another key"),
            ("subject", (certificate.SUBJECT,), "0" * 40, "certificate", "subject is not the id"),
            (
                "code hash",
                (certificate.CODE_HASH,),
                digest("evil"),
                "appliance",
                "another image than the bundle's",
            ),
            (
                "configuration hash",
                (certificate.CONFIGURATION_HASH,),
                digest("another"),
                "certificate",
                "hash is not the descriptor's",
            ),
            ("descriptor", descriptor, another, "policy", "another flow policy"),
            (
                "boot digest",
                (*descriptor, dice.CONFIG_BOOT),
                digest("evil"),
                "boot",
                "not the one the operator endorsed",
            ),
            (
                "policy digest",
                (*descriptor, dice.CONFIG_POLICY),
                digest("leaky"),
                "policy",
                "another flow policy",
            ),
            (
                "counter",
                (*descriptor, dice.CONFIG_COUNTER),
                6,
                "security counter",
                "an older image",
            ),
            (
                "board",
                (*descriptor, dice.CONFIG_BOARD),
                "mps2-an386",
                "board",
                "another board name",
            ),
            (
                "authority hash",
                (certificate.AUTHORITY_HASH,),
                digest("evil"),
                "signing key",
                "another key than the bundle",
            ),
            (
                "mode",
                (certificate.MODE,),
                bytes([dice.Mode.DEBUG]),
                "lifecycle",
                "before the device was secured",
            ),
            ("public key", key, stolen, "certificate", "subject is not the id"),
            (
                "X",
                (*key, certificate.KEY_X),
                thief[:32],
                "certificate",
                "no point of P-256",
            ),
            (
                "Y",
                (*key, certificate.KEY_Y),
                thief[32:],
                "certificate",
                "no point of P-256",
            ),
        ]
    )
    yield from (
        Field(CERTIFICATE, name, path, forged, "certificate", f"{name} .* is not", fixed=True)
        for name, path, forged in [
            ("key type", (*key, certificate.KEY_TYPE), 1),
            ("algorithm", (*key, certificate.KEY_ALG), -35),
            ("key operations", (*key, certificate.KEY_OPS), [1]),
            ("curve", (*key, certificate.KEY_CURVE), 2),
            ("key usage", (certificate.KEY_USAGE,), b"\x80"),
            ("profile name", (certificate.PROFILE_NAME,), "android.15"),
        ]
    )


def _endorsement_fields() -> Iterator[Field]:
    other = OTHER.identity_facts
    kind = endorsement.implementation_id("mps2-an386")
    yield from (
        Field(ENDORSED, *rest)
        for rest in [
            (
                "instance id",
                (endorsement.KEY_INSTANCE_ID,),
                other.instance_id,
                "endorsement",
                "not the hash of its identity key",
            ),
            (
                "identity key",
                (endorsement.KEY_IDENTITY,),
                other.identity_key,
                "endorsement",
                "not the hash of its identity key",
            ),
            (
                "implementation id",
                (endorsement.KEY_IMPLEMENTATION_ID,),
                kind,
                "endorsement",
                "board .5. is not",
            ),
            (
                "boot digest",
                (endorsement.KEY_BOOT,),
                digest("old boot"),
                "boot",
                "not the one the operator endorsed",
            ),
            ("issue time", (endorsement.KEY_ISSUED,), 1, None),
            ("serial", (endorsement.KEY_SERIAL,), bytes(16), None),
        ]
    )
    yield Field(
        ENDORSED, "version", (endorsement.KEY_VERSION,), 2, "endorsement", "version .* is not",
        fixed=True,
    )  # fmt: skip
    yield Field(
        ENDORSED, "board", (endorsement.KEY_BOARD,), "mps2-an386", "endorsement", "board .* is not",
        fixed=True,
    )  # fmt: skip


FIELDS = (*_token_fields(), *_certificate_fields(), *_endorsement_fields())


# --- writing documents that no encoder of ours would write


@dataclass(frozen=True)
class Raw:
    """A map's entry as it is to stand there, byte for byte; `times` 0 leaves it out."""

    value: bytes
    times: int = 1


def _at(value: Any, path: Path) -> Any:
    for step in path:
        if isinstance(value, bytes):
            value = cbor.decode(value)
        value = value[step]
    return value


def rewritten(document: Document, path: Path, entry: Raw) -> bytes:
    """The payload with the value at `path` written as `entry`, what depends on it made to fit."""
    payload = dict(document.payload)
    if document is CERTIFICATE and path[0] == certificate.CONFIGURATION_DESCRIPTOR:
        # Its hash stands beside it: an attacker with the key would write that anew too.
        if len(path) > 1:
            descriptor = _write(payload[path[0]], path[1:], entry)
        elif entry.times and entry.value[:1] == b"\x58":
            descriptor = entry.value[2:]
        else:
            descriptor = payload[path[0]]
        payload[certificate.CONFIGURATION_HASH] = hashlib.sha256(descriptor).digest()
    return _write(payload, path, entry)


def _write(value: Any, path: Path, entry: Raw) -> bytes:
    if isinstance(value, bytes):
        return _write(cbor.decode(value), path, entry)
    if isinstance(value, list):
        items = [
            _one(item, path[1:], entry) if number == path[0] else cbor.encode(item)
            for number, item in enumerate(value)
        ]
        return _head(4, len(items)) + b"".join(items)
    items = []
    for encoded, key in sorted((cbor.encode(key), key) for key in value):
        if key != path[0]:
            items.append(encoded + cbor.encode(value[key]))
        elif len(path) == 1:
            items += [encoded + entry.value] * entry.times
        else:
            items.append(encoded + _one(value[key], path[1:], entry))
    return _head(5, len(items)) + b"".join(items)


def _one(value: Any, path: Path, entry: Raw) -> bytes:
    if not path:
        return entry.value
    inner = _write(value, path, entry)
    return cbor.encode(inner) if isinstance(value, bytes) else inner


def _head(major: int, count: int) -> bytes:
    return bytes([major << 5 | count]) if count < 24 else bytes([major << 5 | 24, count])


def signed(document: Document, payload: bytes, key: p256.PrivateKey) -> bytes:
    """The message with the document's own headers, by any key."""
    more = {label: value for label, value in document.headers.items() if label != cose.HEADER_ALG}
    return cose.sign1(payload, key, more, tagged=document.tagged)


def framed(document: Document, headers: Mapping[Key, object], payload: bytes, end: bytes) -> bytes:
    """The message with any headers and any signature."""
    body = b"\x84" + cbor.encode(cbor.encode(headers)) + b"\xa0"
    return (b"\xd2" if document.tagged else b"") + body + cbor.encode(payload) + cbor.encode(end)


def shown(document: Document, message: bytes) -> tuple[Response, Expectations]:
    """The good answer to a good verifier, this document in the place of the good one."""
    token = message if document is TOKEN else signed(TOKEN, cbor.encode(TOKEN.payload), TOKEN.key)
    chain = message if document is CERTIFICATE else OURS.certificate
    endorsed = message if document is ENDORSED else ENDORSEMENT
    expected = replace(expectations(endorsed=endorsed), policy=STRICT)
    return Response(token, chain), expected


# --- the ways to attack a field

Variant = Callable[[Field], Iterator[tuple[str, bytes, str, str]]]
"""Yields (what it does, the message, the claim that must refuse it, why)."""
NO_SIGNATURE = "signature does not verify|issued by another key|another operator"


def forged(field: Field) -> Iterator[tuple[str, bytes, str, str]]:
    """Another value under the old signature; signed by a stolen key; signed by the right one."""
    document = field.document
    payload = rewritten(document, field.path, Raw(cbor.encode(field.forged)))
    good = cose.read1(signed(document, cbor.encode(document.payload), document.key),
                      tagged=document.tagged)  # fmt: skip
    unsigned = document.unsigned
    refusal = (unsigned, NO_SIGNATURE)
    if field.claim in ("evidence", "certificate", "endorsement"):  # refused before the signature
        refusal = (field.claim, f"{NO_SIGNATURE}|{field.why}")
    yield "forged", framed(document, document.headers, payload, good.signature), *refusal
    yield "re-signed by another key", signed(document, payload, document.thief), *refusal
    if field.claim is not None:
        yield (
            "re-signed by the right key",
            signed(document, payload, document.key),
            field.claim,
            (field.why),
        )


def of_another_time_or_device(field: Field) -> Iterator[tuple[str, bytes, str, str]]:
    """The field, with its genuine signature, from an older and from somebody else's document."""
    document = field.document
    for variant, message in [("stale", document.earlier), ("replayed", document.others)]:
        source = cose.read1(message, tagged=document.tagged)
        value = _at(cbor.decode(source.payload), field.path)
        if value == field.value:  # the same in every genuine one
            continue
        payload = rewritten(document, field.path, Raw(cbor.encode(value)))
        spliced = framed(document, document.headers, payload, source.signature)
        why = f"{NO_SIGNATURE}|not the hash of its identity key|subject is not|no point of P-256"
        claim = document.unsigned
        yield variant, spliced, claim, f"{why}|hash is not the descriptor's"


def wrong_algorithms(field: Field) -> Iterator[tuple[str, bytes, str, str]]:
    """No signature at all, a MAC keyed with the public key, another curve; each says so."""
    document = field.document
    payload = rewritten(document, field.path, Raw(cbor.encode(field.forged)))
    rest = {label: value for label, value in document.headers.items() if label != cose.HEADER_ALG}

    def to_sign(algorithm: object) -> tuple[dict[Key, object], bytes]:
        headers = {cose.HEADER_ALG: algorithm, **rest}
        return headers, cose.signed_bytes(cbor.encode(headers), payload)

    headers, _ = to_sign(None)
    why = "algorithm is not ES256"
    yield "alg none", framed(document, headers, payload, b""), document.malformed, why
    headers, message = to_sign(5)
    mac = hmac.HMAC(certificate.cose_key(document.key.public_key()), hashes.SHA256())
    mac.update(message)
    hs256 = framed(document, headers, payload, mac.finalize())
    yield "HS256 with the public key", hs256, document.malformed, why
    headers, message = to_sign(-35)
    es384 = framed(document, headers, payload, _raw(P384, message, hashes.SHA384(), 48))
    yield "ES384 on P-384", es384, document.malformed, why
    headers, message = to_sign(cose.ES256)
    es256 = framed(document, headers, payload, _raw(P384, message, hashes.SHA256(), 48))
    yield "ES256 on P-384", es256, document.malformed, "a signature of 96 bytes"


def _raw(key: ec.EllipticCurvePrivateKey, message: bytes, of: Any, size: int) -> bytes:
    r, s = utils.decode_dss_signature(key.sign(message, ec.ECDSA(of)))
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")


def misshapen(field: Field) -> Iterator[tuple[str, bytes, str, str]]:
    """Signed by the right key, in a form that no encoder of ours writes."""
    document, good = field.document, cbor.encode(field.value)

    def case(variant: str, entry: Raw, why: str) -> tuple[str, bytes, str, str]:
        payload = rewritten(document, field.path, entry)
        return variant, signed(document, payload, document.key), document.malformed, why

    if not field.optional:
        yield case("left out", Raw(b"", 0), "is missing")
    yield case("of another type", Raw(*_another_type(field)[:1]), _another_type(field)[1])
    yield case("twice", Raw(good, 2), "duplicate map key")
    yield case("of indefinite length", Raw(_loose(field.value)), "indefinite|longer than it need")
    yield case("nested too deeply", Raw(b"\x81" * 40 + b"\x00"), "nested deeper than")
    yield case("within a tag", Raw(b"\xc6" + good), "not|is neither text nor bytes")
    marked = rewritten(document, field.path, Raw(cbor.encode(MARK)))
    end = marked.index(MARK) + len(MARK) // 2
    cut = signed(document, marked[:end], document.key)
    yield "payload cut within it", cut, document.malformed, "cut short"
    short = _shortened(field.value)
    if short is not None:
        value, why = short
        yield case("truncated", Raw(cbor.encode(value)), "is not" if field.fixed else why)
    message = signed(document, marked, document.key)
    cut = message[: message.index(MARK) + 3]
    yield "message cut within it", cut, document.malformed, "cut short"


def _another_type(field: Field) -> tuple[bytes, str]:
    kind = type(field.value)
    if field.fixed:
        return cbor.encode([field.value]), "is not"
    return {
        bytes: (cbor.encode("text"), "not a byte string"),
        str: (cbor.encode(b"text"), "not text"),
        int: (cbor.encode("1"), "not an integer"),
        list: (cbor.encode({}), "not an array"),
        dict: (cbor.encode([]), "not a map"),
    }[kind]


def _loose(value: object) -> bytes:
    """The same value, of indefinite length, or a number in more bytes than it needs."""
    encoded = cbor.encode(value)
    major = encoded[0] >> 5
    if isinstance(value, int):
        number = value if value >= 0 else -1 - value
        return bytes([major << 5 | 27]) + number.to_bytes(8, "big")
    inner = encoded
    if isinstance(value, list | dict):
        inner = encoded[len(_head(major, len(value))) :]
    return bytes([major << 5 | 31]) + inner + b"\xff"


def _shortened(value: Any) -> tuple[object, str] | None:
    """The value without its end, where that can be told from another value."""
    if isinstance(value, bytes):
        return value[:-1], "bytes instead of|cut short"
    if isinstance(value, list) and value and isinstance(value[0], list):
        return [value[0][:-1], *value[1:]], "not an array of"
    return None  # a map without one of its keys is that key left out


VARIANTS: tuple[Variant, ...] = (forged, of_another_time_or_device, wrong_algorithms, misshapen)


def cases() -> Iterator[Case]:
    """The whole table."""
    for field in FIELDS:
        for variant in VARIANTS:
            for name, message, claim, why in variant(field):
                yield Case(str(field), name, *shown(field.document, message), claim, why)
