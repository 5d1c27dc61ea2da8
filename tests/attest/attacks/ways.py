# SPDX-License-Identifier: Apache-2.0
"""The ways to attack a field, each a function of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.asymmetric import ec, utils

from attest import certificate
from enclaves import cbor, cose
from tests.attest.attacks.documents import PAIRWISE, Key, signed
from tests.attest.attacks.field import Field
from tests.attest.attacks.raw import Raw, at, framed, head, rewritten

MARK = b"here is the field that this attack is about"
P384 = ec.derive_private_key(77, ec.SECP384R1())
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
        value = at(cbor.decode(source.payload), field.path)
        if value == field.value:  # the same in every genuine one
            continue
        payload = rewritten(document, field.path, Raw(cbor.encode(value)))
        spliced = framed(document, document.headers, payload, source.signature)
        why = f"{NO_SIGNATURE}|not the hash of its identity key|subject is not|no point of P-256"
        claim = document.unsigned
        if document is PAIRWISE and field.claim == "endorsement":  # whose key is it that signed?
            claim, why = field.claim, field.why
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
        inner = encoded[len(head(major, len(value))) :]
    return bytes([major << 5 | 31]) + inner + b"\xff"


def _shortened(value: Any) -> tuple[object, str] | None:
    """The value without its end, where that can be told from another value."""
    if isinstance(value, bytes):
        return value[:-1], "bytes instead of|cut short"
    if isinstance(value, list) and value and isinstance(value[0], list):
        return [value[0][:-1], *value[1:]], "not an array of"
    return None  # a map without one of its keys is that key left out


VARIANTS: tuple[Variant, ...] = (forged, of_another_time_or_device, wrong_algorithms, misshapen)
