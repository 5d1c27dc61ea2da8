# SPDX-License-Identifier: Apache-2.0
"""Malformed, mutated and re-signed evidence: a definite no with its reason, never an exception."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.asymmetric import ec, utils
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated_device import GOOD, NONCE, digest, expectations

from attest import certificate, psa_claims, psa_token
from attest.appraisal import appraise
from attest.errors import AttestError, EvidenceError
from attest.response import Response, pack, unpack
from enclaves import cbor, cose

ANSWER = GOOD.answer()
CERTIFICATE = ANSWER.certificate
CLAIMS: dict[int, Any] = psa_claims.to_map(GOOD.evidence())
SUBJECT = {1: "enclave:coach", 2: bytes(8), 3: bytes(8), 4: [[0, 0], [0, 0]], 5: [[0, 1, 60]]}
MISSING = object()


def resigned(claims: dict[int, Any], **options: Any) -> Response:
    """These claims with a good signature of the good attestation key."""
    return Response(cose.sign1(cbor.encode(claims), GOOD.alias, **options), CERTIFICATE)


def raw_sign1(protected: bytes, payload: bytes, *, unprotected: object = None) -> bytes:
    """A COSE_Sign1 with any protected bytes, and an ES256 signature that does verify."""
    der = GOOD.alias.sign(
        cbor2.dumps(["Signature1", protected, b"", payload]), ec.ECDSA(hashes.SHA256())
    )
    r, s = utils.decode_dss_signature(der)
    signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    return cbor2.dumps(cbor2.CBORTag(18, [protected, unprotected or {}, payload, signature]))


def refused(response: Response) -> str:
    """The reason for which a malformed token is refused."""
    verdict = appraise(response, expectations())
    assert verdict.verdict == "untrusted"
    assert verdict.differing == ("evidence",)
    return verdict.claims[0].why


CHANGED_CLAIMS: list[tuple[int, object, str]] = [
    (psa_claims.NONCE, MISSING, r"nonce \(10\) is missing"),
    (psa_claims.NONCE, b"", "0 bytes"),
    (psa_claims.NONCE, bytes(31), "31 bytes"),
    (psa_claims.NONCE, bytes(33), "33 bytes"),
    (psa_claims.NONCE, [bytes(32)], "not a byte string"),
    (psa_claims.NONCE, "0" * 32, "not a byte string"),
    (psa_claims.INSTANCE_ID, MISSING, r"instance id \(256\) is missing"),
    (psa_claims.INSTANCE_ID, bytes(33), "not of type RAND"),
    (psa_claims.INSTANCE_ID, b"\x01" + bytes(31), "32 bytes"),
    (psa_claims.INSTANCE_ID, 1, "not a byte string"),
    (psa_claims.PROFILE, MISSING, r"profile \(265\) is missing"),
    (psa_claims.PROFILE, "PSA_IOT_PROFILE_1", "profile"),
    (psa_claims.PROFILE, "tag:psacertified.org,2019:psa#legacy", "profile"),
    (psa_claims.PROFILE, b"tag:psacertified.org,2023:psa#tfm", "profile"),
    (psa_claims.PROFILE, "tag:psacertified.org,2023:psa#tfm", "profile"),
    (psa_claims.BOOT_SEED, MISSING, r"boot seed \(268\) is missing"),
    (psa_claims.BOOT_SEED, bytes(8), "8 bytes"),
    (psa_claims.CLIENT_ID, MISSING, r"client id \(2394\) is missing"),
    (psa_claims.CLIENT_ID, 0, "is 0"),
    (psa_claims.CLIENT_ID, 1 << 31, "out of range"),
    (psa_claims.CLIENT_ID, -(1 << 31) - 1, "out of range"),
    (psa_claims.CLIENT_ID, True, "not an integer"),
    (psa_claims.CLIENT_ID, "-1", "not an integer"),
    (psa_claims.LIFECYCLE, MISSING, r"lifecycle \(2395\) is missing"),
    (psa_claims.LIFECYCLE, -1, "out of range"),
    (psa_claims.LIFECYCLE, 0x6100, "out of range"),
    (psa_claims.LIFECYCLE, None, "not an integer"),
    (psa_claims.IMPLEMENTATION_ID, MISSING, r"implementation id \(2396\) is missing"),
    (psa_claims.IMPLEMENTATION_ID, bytes(33), "33 bytes"),
    (psa_claims.COMPONENTS, MISSING, r"components \(2399\) is missing"),
    (psa_claims.COMPONENTS, [], "0 items"),
    (psa_claims.COMPONENTS, {}, "not an array"),
    (psa_claims.COMPONENTS, [7], "not a map"),
    (psa_claims.COMPONENTS, [{}] * 33, "33 items"),
    (psa_claims.COMPONENTS, [{1: "boot", 2: bytes(32), 5: bytes(32)}], "do not begin with"),
    (2400, "https://verifier.example", "unknown field 2400"),
    (-75003, 1, "pairwise: not a map"),
    (-75003, {1: bytes(32)}, r"public key \(2\) is missing"),
    (-75003, {1: bytes(31), 2: bytes(64)}, "31 bytes instead of 32"),
    (-75004, 1, r"settings \(-75004\) is not a byte string"),
    (-75005, 1, "unknown field -75005"),
    (psa_claims.UPTIME, MISSING, r"uptime \(261\) is missing"),
    (psa_claims.UPTIME, -1, "out of range"),
    (psa_claims.UPTIME, 1 << 32, "out of range"),
    (psa_claims.UPTIME, True, "not an integer"),
    (psa_claims.BOOT_COUNT, MISSING, r"boot count \(267\) is missing"),
    (psa_claims.BOOT_COUNT, 1 << 32, "out of range"),
    (psa_claims.BOOT_COUNT, b"\1", "not an integer"),
    (psa_claims.HEALTH, MISSING, r"health \(-75001\) is missing"),
    (psa_claims.HEALTH, 1, "not a map"),
    (psa_claims.HEALTH, {}, "log digest"),
    *(
        (psa_claims.HEALTH, {**CLAIMS[psa_claims.HEALTH], key: value}, reason)
        for key, value, reason in [
            (1, bytes(31), "31 bytes"),
            (2, -1, "out of range"),
            (3, "0", "not an integer"),
            (4, [], "not of each enclave"),
            (4, [[0, 0]] * 3, "not of each enclave"),
            (4, [[0, 0], [0]], "2 numbers"),
            (4, [[0, 0], [0, -1]], "32 bits"),
            (4, [[0, 0], [0, True]], "32 bits"),
            (4, [[0, 0], [0, 1 << 32]], "32 bits"),
            (4, {0: 0}, "not an array"),
            (4, [[0, 0]] * 33, "not an array"),
            (5, 0, "unknown field"),
        ]
    ),
    *(
        (psa_claims.SUBJECT, {**SUBJECT, key: value}, reason)
        for key, value, reason in [
            (1, "enclave:other", "no enclave"),
            (1, "policy", "no enclave"),
            (1, 7, "not text"),
            (2, bytes(4), "4 bytes"),
            (3, 0, "not a byte string"),
            (4, [[1]], "2 numbers"),
            (5, [[0, 0]], "3 numbers"),
            (5, [[0, 0, -1]], "32 bits"),
            (6, 0, "unknown field"),
        ]
    ),
    (psa_claims.SUBJECT, [], "not a map"),
]


@pytest.mark.parametrize(("key", "value", "reason"), CHANGED_CLAIMS)
def test_each_claim_is_checked(key: int, value: object, reason: str) -> None:
    claims = dict(CLAIMS)
    if value is MISSING:
        del claims[key]
    else:
        claims[key] = value
    with pytest.raises(EvidenceError, match=reason):
        psa_token.read(resigned(claims).token)
    assert refused(resigned(claims))


CHANGED_COMPONENTS: list[tuple[int, object]] = [
    (1, MISSING),
    (1, b"policy"),
    (1, "POLICY"),
    (1, "enclave:"),
    (1, "policy\n"),
    (1, "p" * 65),
    (2, MISSING),
    (2, bytes(31)),
    (2, bytes(48)),
    (2, "00"),
    (4, 1),
    (4, ""),
    (4, "1.0\x1b[2J"),
    (5, MISSING),
    (5, bytes(33)),
    (6, "sha-1"),
    (6, 6),
    (3, "unknown"),
]


@pytest.mark.parametrize(("key", "value"), CHANGED_COMPONENTS)
@pytest.mark.parametrize("number", [0, 3, 5])
def test_each_field_of_a_component_is_checked(number: int, key: int, value: object) -> None:
    components = cbor2.loads(cbor2.dumps(CLAIMS[psa_claims.COMPONENTS]))
    if value is MISSING:
        del components[number][key]
    else:
        components[number][key] = value
    assert refused(resigned({**CLAIMS, psa_claims.COMPONENTS: components}))


PAYLOAD = cbor.encode(CLAIMS)
ES256_HEADER = cbor.encode({1: -7})


def wrong_algorithms() -> Iterator[tuple[str, bytes]]:
    """Tokens whose header claims another algorithm."""
    for name, header in [
        ("none", {1: None}),
        ("zero", {1: 0}),
        ("absent", {}),
        ("ES384", {1: -35}),
        ("EdDSA", {1: -8}),
        ("HS256", {1: 5}),
        ("text", {1: "ES256"}),
        ("ESP256", {1: -9}),
        ("crit", {1: -7, 2: [1]}),
        ("empty crit", {1: -7, 2: []}),
        ("kid", {1: -7, 4: b"key"}),
        ("twice", None),
    ]:
        protected = b"\xa2\x01\x26\x01\x26" if header is None else cbor.encode(header)
        yield name, raw_sign1(protected, PAYLOAD)
    yield "empty header", raw_sign1(b"", PAYLOAD)
    yield "unprotected algorithm", raw_sign1(b"\xa0", PAYLOAD, unprotected={1: -7})
    yield "unprotected extra", raw_sign1(ES256_HEADER, PAYLOAD, unprotected={4: b"key"})
    yield "header is no map", raw_sign1(cbor.encode([1, -7]), PAYLOAD)
    # HMAC keyed with the public key, the classic confusion of key types.
    mac = hmac.HMAC(certificate.cose_key(GOOD.alias.public_key()), hashes.SHA256())
    mac.update(cbor.encode(["Signature1", cbor.encode({1: 5}), b"", PAYLOAD]))
    body = [cbor.encode({1: 5}), {}, PAYLOAD, mac.finalize()]
    yield "HMAC with the public key", cbor.encode(cbor2.CBORTag(18, body))
    yield "COSE_Mac0", cbor.encode(cbor2.CBORTag(17, body))


@pytest.mark.parametrize(
    ("name", "token"),
    list(wrong_algorithms()),
    ids=lambda value: value if isinstance(value, str) else "token",
)
def test_no_other_algorithm_or_header_is_taken(name: str, token: bytes) -> None:
    assert refused(Response(token, CERTIFICATE)), name


def unusual_encodings() -> Iterator[tuple[str, bytes]]:
    """The same content in encodings that are not the deterministic one, each signed for real."""
    yield "payload with trailing byte", raw_sign1(ES256_HEADER, PAYLOAD + b"\x00")
    yield "payload of indefinite length", raw_sign1(ES256_HEADER, b"\xbf" + PAYLOAD[1:] + b"\xff")
    yield (
        "payload with a duplicate key",
        raw_sign1(
            ES256_HEADER,
            bytes([PAYLOAD[0] + 1]) + PAYLOAD[1:] + cbor.encode(10) + cbor.encode(NONCE),
        ),
    )
    yield (
        "payload with keys out of order",
        raw_sign1(ES256_HEADER, cbor2.dumps(dict(reversed(list(cbor2.loads(PAYLOAD).items()))))),
    )
    yield (
        "payload with a long integer",
        raw_sign1(ES256_HEADER, PAYLOAD.replace(b"\x0a\x58\x20", b"\x18\x0a\x58\x20", 1)),
    )
    yield "payload is no map", raw_sign1(ES256_HEADER, cbor.encode([1, 2]))
    yield "payload is empty", raw_sign1(ES256_HEADER, b"")
    yield "payload nested too deeply", raw_sign1(ES256_HEADER, b"\x81" * 2000 + b"\x00")
    yield "payload with a float", raw_sign1(ES256_HEADER, cbor2.dumps({**CLAIMS, 10: 1.5}))
    token = ANSWER.token
    yield "token with a trailing byte", token + b"\x00"
    yield "token twice", token + token
    yield "token without its tag", token[1:]
    yield "token with tag CWT around it", b"\xd8\x3d" + token
    yield "token in a byte string", cbor.encode(token)
    yield "token nested too deeply", b"\xd2" * 2000 + token
    yield "token is empty", b""
    yield "token is too long", bytes(psa_token.MAX_BYTES + 1)
    yield "token with a huge length", b"\xd2\x84\x43\xa1\x01\x26\xa0\x5b" + b"\xff" * 8
    yield "token with a huge array", b"\x9b" + b"\xff" * 8


@pytest.mark.parametrize(
    ("name", "token"),
    list(unusual_encodings()),
    ids=lambda value: value if isinstance(value, str) else "token",
)
def test_one_value_has_one_encoding(name: str, token: bytes) -> None:
    assert refused(Response(token, CERTIFICATE)), name


@pytest.mark.parametrize("length", range(0, len(ANSWER.token), 7))
def test_truncated_token_is_refused(length: int) -> None:
    assert refused(Response(ANSWER.token[:length], CERTIFICATE))


@pytest.mark.parametrize("length", range(0, len(CERTIFICATE), 7))
def test_truncated_certificate_is_refused(length: int) -> None:
    verdict = appraise(Response(ANSWER.token, CERTIFICATE[:length]), expectations())
    assert verdict.verdict == "untrusted"
    assert verdict.differing == ("certificate",)


SIGNATURES = [
    ("zero", bytes(64)),
    ("r is zero", bytes(32) + b"\x01" * 32),
    ("s is zero", b"\x01" * 32 + bytes(32)),
    ("beyond the order", b"\xff" * 64),
    ("swapped", cose.read1(ANSWER.token).signature[32:] + cose.read1(ANSWER.token).signature[:32]),
]


@pytest.mark.parametrize(("name", "signature"), SIGNATURES)
def test_degenerate_signature_is_refused(name: str, signature: bytes) -> None:
    token = ANSWER.token[:-64] + signature
    verdict = appraise(Response(token, CERTIFICATE), expectations())
    assert verdict.differing == ("signature",), name


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_any_changed_byte_of_the_answer_is_never_trusted(data: st.DataObject) -> None:
    which = data.draw(st.sampled_from(["token", "certificate"]))
    original = getattr(ANSWER, which)
    position = data.draw(st.integers(0, len(original) - 1))
    flipped = original[position] ^ data.draw(st.integers(1, 255))
    mutated = original[:position] + bytes([flipped]) + original[position + 1 :]
    parts = {"token": ANSWER.token, "certificate": CERTIFICATE, which: mutated}
    verdict = appraise(Response(**parts), expectations())
    assert verdict.verdict == "untrusted"
    assert all(claim.ok or claim.why for claim in verdict.claims)


@given(st.binary(max_size=600), st.binary(max_size=600))
@settings(max_examples=200, deadline=None)
def test_arbitrary_bytes_are_never_trusted(token: bytes, cert: bytes) -> None:
    assert appraise(Response(token, cert), expectations()).verdict == "untrusted"


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 64), (1 << 64) - 1) | st.binary() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.integers(-(1 << 40), 1 << 40) | st.text(), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.sampled_from(sorted(CLAIMS)), JUNK)
@settings(max_examples=200, deadline=None)
def test_any_junk_in_any_claim_gives_a_typed_error_or_a_value(key: int, junk: object) -> None:
    """Signed by the right key, so that only the parser stands between it and the verdict."""
    verdict = appraise(resigned({**CLAIMS, key: junk}), expectations())
    told = (
        key in (psa_claims.UPTIME, psa_claims.BOOT_COUNT) and type(junk) is int
    )  # for people only
    assert verdict.verdict == "untrusted" or junk == CLAIMS[key] or told


@given(st.binary(max_size=400) | JUNK.map(cbor.encode))
@settings(max_examples=300, deadline=None)
def test_certificate_reader_raises_nothing_but_its_error(data: bytes) -> None:
    for attempt in (data, cose.sign1(data, GOOD.identity, tagged=False)):
        with pytest.raises(AttestError):
            certificate.verify(attempt, GOOD.identity.public_key())


CERTIFICATE_FIELDS = cbor2.loads(cose.read1(CERTIFICATE, tagged=False).payload)
CHANGED_FIELDS: list[tuple[int, object]] = [
    *((key, MISSING) for key in CERTIFICATE_FIELDS),
    *((key, b"") for key in CERTIFICATE_FIELDS),
    *((key, 7) for key in CERTIFICATE_FIELDS),
    (certificate.ISSUER, "0" * 40),
    (certificate.SUBJECT, "0" * 40),
    (certificate.CONFIGURATION_HASH, digest("another descriptor")),
    (certificate.CONFIGURATION_DESCRIPTOR, cbor.encode({1: bytes(32)})),
    (certificate.SUBJECT_PUBLIC_KEY, certificate.cose_key(GOOD.identity.public_key())),
    (certificate.SUBJECT_PUBLIC_KEY, cbor.encode({1: 2, 3: -7, 4: [2], -1: 1})),
    (
        certificate.SUBJECT_PUBLIC_KEY,
        cbor.encode({1: 2, 3: -7, 4: [2], -1: 1, -2: bytes(32), -3: bytes(32)}),
    ),
    (
        certificate.SUBJECT_PUBLIC_KEY,
        cbor.encode({1: 2, 3: -35, 4: [2], -1: 2, -2: bytes(48), -3: bytes(48)}),
    ),
    (certificate.KEY_USAGE, b"\x01"),
    (certificate.PROFILE_NAME, "android.15"),
    (certificate.MODE, b"\x00\x01"),
    (-4670546, b"a code descriptor"),
    (4, 2_000_000_000),
]


@pytest.mark.parametrize(("key", "value"), CHANGED_FIELDS)
def test_each_certificate_field_is_checked(key: int, value: object) -> None:
    """Re-signed by the real identity key, so the signature is not what stops it."""
    fields = dict(CERTIFICATE_FIELDS)
    if value is MISSING:
        del fields[key]
    else:
        fields[key] = value
    forged = cose.sign1(cbor.encode(fields), GOOD.identity, tagged=False)
    verdict = appraise(Response(ANSWER.token, forged), expectations())
    assert verdict.verdict == "untrusted"
    assert "certificate" in verdict.differing


def test_certificate_with_another_header_is_refused() -> None:
    payload = cose.read1(CERTIFICATE, tagged=False).payload
    forged = cose.sign1(payload, GOOD.identity, {4: b"key"}, tagged=False)
    verdict = appraise(Response(ANSWER.token, forged), expectations())
    assert verdict.differing == ("certificate",)


def test_evidence_file_round_trip_and_strictness() -> None:
    stored = Response(ANSWER.token, CERTIFICATE, GOOD.endorsed_by())
    assert unpack(pack(stored)) == stored
    assert unpack(pack(ANSWER)) == ANSWER
    for bad in (b"", pack(stored) + b"\0", cbor.encode({"token": b""}), cbor.encode([1])):
        with pytest.raises(EvidenceError):
            unpack(bad)
