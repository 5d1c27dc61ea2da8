# SPDX-License-Identifier: Apache-2.0
"""COSE_Sign1 with ES256 (RFC 9052 sections 3 and 4, RFC 9053 section 2.1), and nothing else.

Strict where libraries are kind: exactly one encoding is accepted (see `enclaves.cbor`), the
algorithm must be ES256 and protected, an empty `crit` is no better than an unknown one, and a
label may not stand in both headers. Signatures are deterministic (RFC 6979), raw r || s.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple, TypeAlias, cast

import cbor2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from enclaves import cbor

TAG_SIGN1 = 18
HEADER_ALG = 1
HEADER_CRIT = 2
HEADER_CONTENT_TYPE = 3
HEADER_KID = 4
ES256 = -7
COORDINATE = 32  # bytes of r, s, X and Y on P-256
MAX_BYTES = 64 * 1024
_PARTS = (bytes, dict, bytes, bytes)
_Parts: TypeAlias = tuple[bytes, dict[object, object], bytes, bytes]
_TAGGED = b"\xd2"  # the head of tag 18
_SIGNATURE1 = b"\x84\x6aSignature1"  # an array of four, and its first
_ES256 = ec.ECDSA(hashes.SHA256())

Label: TypeAlias = int | str


class CoseError(ValueError):
    """The message is malformed, or its signature does not verify."""


class Sign1(NamedTuple):
    """The parts of a COSE_Sign1 message. From `read1` they are claims, from `verify1` facts.

    `unprotected` is never covered by the signature.
    """

    protected: Mapping[Label, object]
    unprotected: Mapping[Label, object]
    payload: bytes
    signature: bytes
    protected_bytes: bytes


def sign1(
    payload: bytes,
    key: ec.EllipticCurvePrivateKey,
    protected: Mapping[Label, object] | None = None,
    *,
    unprotected: Mapping[Label, object] | None = None,
    external_aad: bytes = b"",
    tagged: bool = True,
) -> bytes:
    """Sign `payload` and return the message, with CBOR tag 18 unless `tagged` is false.

    `protected` adds header parameters to `{1: -7}`. Raises CoseError when the key is not P-256 or
    a header tries to set alg or crit, or stands in both headers.
    """
    if not isinstance(key.curve, ec.SECP256R1):
        raise CoseError(f"ES256 needs a P-256 key, this one is {key.curve.name}")
    header: dict[Label, object] = {HEADER_ALG: ES256, **(protected or {})}
    _check_headers(header, unprotected or {})
    protected_bytes = cbor.encode(header)
    message = signed_bytes(protected_bytes, payload, external_aad)
    der = key.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
    r, s = decode_dss_signature(der)
    signature = r.to_bytes(COORDINATE, "big") + s.to_bytes(COORDINATE, "big")
    body = [protected_bytes, dict(unprotected or {}), payload, signature]
    return cbor.encode(cbor2.CBORTag(TAG_SIGN1, body) if tagged else body)


def signed_bytes(protected_bytes: bytes, payload: bytes, external_aad: bytes = b"") -> bytes:
    """The Sig_structure that is signed (RFC 9052 section 4.4)."""
    head = cbor.string_head
    return b"".join(
        (
            *(_SIGNATURE1, head(protected_bytes), protected_bytes),
            *(head(external_aad), external_aad, head(payload), payload),
        )
    )


def read1(data: bytes, *, tagged: bool | None = True) -> Sign1:
    """Parse a message WITHOUT verifying it, to find which key it claims (`kid`, issuer).

    `tagged` says whether tag 18 must be there, must not (False) or may be (None). Raises CoseError.
    """
    try:
        if tagged is not False and data[:1] == _TAGGED:
            # Quicker than to make an object of the tag. There must not be a second one.
            value, tagged = cbor.decode(data[1:], limit=MAX_BYTES - 1), False
        else:
            value = cbor.decode(data, limit=MAX_BYTES)
    except cbor.CborError as error:
        raise CoseError(f"COSE_Sign1: {error}") from error
    if isinstance(value, cbor2.CBORTag):
        if tagged is False or value.tag != TAG_SIGN1:
            raise CoseError(f"COSE_Sign1: unexpected CBOR tag {value.tag}")
        value = value.value
    elif tagged:
        raise CoseError(f"COSE_Sign1: CBOR tag {TAG_SIGN1} is missing")
    if type(value) is not list or tuple(map(type, value)) != _PARTS:
        raise CoseError("COSE_Sign1: not [bstr, map, bstr, bstr]")
    protected_bytes, unprotected, payload, s = cast(_Parts, value)
    headers = _protected(protected_bytes), _labelled(unprotected)
    _check_headers(*headers)  # first: with another algorithm the signature has another length
    if len(s) != 2 * COORDINATE:
        raise CoseError(f"COSE_Sign1: a signature of {len(s)} bytes, ES256 has {2 * COORDINATE}")
    return Sign1(*headers, payload, s, protected_bytes)


def verify1(
    data: bytes,
    key: ec.EllipticCurvePublicKey,
    *,
    external_aad: bytes = b"",
    tagged: bool | None = True,
) -> Sign1:
    """Parse `data` and verify it with `key` (P-256). Raises CoseError unless all is good."""
    message = read1(data, tagged=tagged)
    check1(message, key, external_aad=external_aad)
    return message


def check1(message: Sign1, key: ec.EllipticCurvePublicKey, *, external_aad: bytes = b"") -> None:
    """Verify with `key` (P-256) what `read1` gave. Raises CoseError unless all is good."""
    if type(key.curve) is not ec.SECP256R1:  # isinstance is slow for an abstract class
        raise CoseError(f"ES256 needs a P-256 key, this one is {key.curve.name}")
    r = int.from_bytes(message.signature[:COORDINATE], "big")
    s = int.from_bytes(message.signature[COORDINATE:], "big")
    try:
        key.verify(
            encode_dss_signature(r, s),
            signed_bytes(message.protected_bytes, message.payload, external_aad),
            _ES256,
        )
    except InvalidSignature as error:
        raise CoseError("COSE_Sign1: the signature does not verify with this key") from error


@lru_cache(maxsize=64)  # nearly every message has one of a few
def _protected(data: bytes) -> Mapping[Label, object]:
    try:
        protected = cbor.decode(data, limit=MAX_BYTES)
    except cbor.CborError as error:
        raise CoseError(f"COSE_Sign1 protected header: {error}") from error
    if not isinstance(protected, dict):
        raise CoseError("COSE_Sign1: the protected header is not a map")
    return MappingProxyType(_labelled(protected))


def _labelled(header: Mapping[object, object]) -> dict[Label, object]:
    """RFC 9052 section 1.4: labels are integers or text."""
    labelled: dict[Label, object] = {}
    for label, value in header.items():
        if not isinstance(label, int | str):
            raise CoseError("COSE_Sign1: a header label that is neither integer nor text")
        labelled[label] = value
    return labelled


def _check_headers(protected: Mapping[Label, object], unprotected: Mapping[Label, object]) -> None:
    """RFC 9052 section 3.1: no label twice, no unknown `crit`; and our one algorithm."""
    if unprotected and (both := set(protected) & set(unprotected)):
        raise CoseError(f"COSE_Sign1: header {sorted(map(str, both))} is in both headers")
    if HEADER_CRIT in protected or HEADER_CRIT in unprotected:
        raise CoseError("COSE_Sign1: a critical header that this program does not know")
    if protected.get(HEADER_ALG) != ES256:
        raise CoseError("COSE_Sign1: the protected algorithm is not ES256 (-7)")
