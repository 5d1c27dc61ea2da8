# SPDX-License-Identifier: Apache-2.0
"""The certificate that boot writes: the identity key vouches for the alias key and its inputs.

*Open Profile for DICE* v2.6, sections "CBOR CDI Certificates" and "Additional Fields": an untagged
COSE_Sign1 around a CWT. Only the exact shape that docs/internals.md gives is read.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache

from attest import dice, p256
from attest.errors import CertificateError, PublicKeyError
from attest.maps import Fields
from enclaves import cbor, cose

ISSUER = 1
SUBJECT = 2
CODE_HASH = -4670545
CONFIGURATION_HASH = -4670547
CONFIGURATION_DESCRIPTOR = -4670548
AUTHORITY_HASH = -4670549
MODE = -4670551
SUBJECT_PUBLIC_KEY = -4670552
KEY_USAGE = -4670553
PROFILE_NAME = -4670554
KEY_CERT_SIGN = b"\x20"  # bit 5 of X.509's KeyUsage, little endian

MAX_BYTES = 1024
BOARD_MAX = 32

# COSE_Key (RFC 9052 section 7, RFC 9053 section 7.1.1): EC2, ES256, verify, P-256.
KEY_TYPE, KEY_ALG, KEY_OPS, KEY_CURVE, KEY_X, KEY_Y = 1, 3, 4, -1, -2, -3


@dataclass(frozen=True, slots=True)
class Certificate:
    """What boot measured and certified, and the key that may speak for it."""

    issuer: str
    subject: str
    image_digest: bytes
    boot_digest: bytes
    policy_digest: bytes
    security_counter: int
    board: str
    signer_id: bytes
    mode: int
    alias_key: p256.PublicKey


def issue(
    identity: p256.PrivateKey, alias: p256.PublicKey, inputs: dice.Inputs, descriptor: bytes
) -> bytes:
    """The certificate that boot makes, byte for byte (signatures are deterministic)."""
    claims = {
        ISSUER: dice.key_id(identity.public_key()),
        SUBJECT: dice.key_id(alias),
        CODE_HASH: inputs.code,
        CONFIGURATION_HASH: inputs.configuration,
        CONFIGURATION_DESCRIPTOR: descriptor,
        AUTHORITY_HASH: inputs.authority,
        MODE: bytes([inputs.mode]),
        SUBJECT_PUBLIC_KEY: cose_key(alias),
        KEY_USAGE: KEY_CERT_SIGN,
        PROFILE_NAME: dice.PROFILE,
    }
    return cose.sign1(cbor.encode(claims), identity, tagged=False)


@dataclass(frozen=True, slots=True)
class Parsed:
    """A parsed certificate: its fields are allegations until `verify` has seen the signature."""

    certificate: Certificate
    message: cose.Sign1
    data: bytes

    def verify(self, identity: p256.PublicKey) -> Certificate:
        """The fields, issued by this identity key. Raises CertificateError."""
        return _verified(self.data, p256.Held(identity))


def read(data: bytes) -> Certificate:
    """The fields WITHOUT verifying the signature. Raises CertificateError."""
    return parse(data).certificate


def verify(data: bytes, identity: p256.PublicKey) -> Certificate:
    """Parse and verify under the device's identity key. Raises CertificateError."""
    return parse(data).verify(identity)


@lru_cache(maxsize=p256.REMEMBERED)  # keeps what is returned, never an error
def _verified(data: bytes, held: p256.Held) -> Certificate:
    parsed = parse(data)
    if parsed.certificate.issuer != dice.key_id(held.key):
        raise CertificateError("certificate: issued by another key than this device's identity")
    try:
        cose.check1(parsed.message, held.key)
    except cose.CoseError as error:
        raise CertificateError(f"certificate: {error}") from error
    return parsed.certificate


@lru_cache(maxsize=p256.REMEMBERED)  # a device shows the same one until it is updated
def parse(data: bytes) -> Parsed:
    """Parse once, to verify later. Raises CertificateError."""
    if len(data) > MAX_BYTES:
        raise CertificateError(f"certificate of {len(data)} bytes, at most {MAX_BYTES} are read")
    try:
        message = cose.read1(data, tagged=False)
        payload = cbor.decode(message.payload)
    except ValueError as error:
        raise CertificateError(f"certificate: {error}") from error
    if message.protected != {cose.HEADER_ALG: cose.ES256} or message.unprotected:
        raise CertificateError("certificate: headers other than the algorithm")
    fields = Fields(payload, "certificate", CertificateError)
    issuer = fields.text(ISSUER, "issuer", 40)
    subject = fields.text(SUBJECT, "subject", 40)
    code = fields.data(CODE_HASH, "code hash", 32)
    configuration = fields.data(CONFIGURATION_HASH, "configuration hash", 32)
    descriptor = fields.data(CONFIGURATION_DESCRIPTOR, "configuration descriptor")
    authority = fields.data(AUTHORITY_HASH, "authority hash", 32)
    mode = fields.data(MODE, "mode", 1)[0]
    point = read_cose_key(fields.data(SUBJECT_PUBLIC_KEY, "subject public key"))
    alias = _on_curve(point)
    fields.expect(KEY_USAGE, "key usage", KEY_CERT_SIGN)
    fields.expect(PROFILE_NAME, "profile name", dice.PROFILE)
    fields.end()
    if hashlib.sha256(descriptor).digest() != configuration:
        raise CertificateError("certificate: the configuration hash is not the descriptor's")
    if subject != dice.key_id_of(point):
        raise CertificateError("certificate: the subject is not the id of the subject's key")
    config = _descriptor(descriptor)
    certificate = Certificate(issuer, subject, code, *config, authority, mode, alias)
    return Parsed(certificate, message, data)


def cose_key(key: p256.PublicKey) -> bytes:
    """The COSE_Key of a public key, as Open-DICE's own certificates write it."""
    point = p256.xy(key)
    return cbor.encode(
        {
            KEY_TYPE: 2,
            KEY_ALG: cose.ES256,
            KEY_OPS: [2],
            KEY_CURVE: 1,
            KEY_X: point[: p256.COORDINATE],
            KEY_Y: point[p256.COORDINATE :],
        }
    )


# Deterministic CBOR around the coordinates, so that a COSE_Key is good when it is this.
_BEFORE_X = bytes.fromhex("a6010203260481022001215820")
_BEFORE_Y = bytes.fromhex("225820")
_X, _Y = len(_BEFORE_X), len(_BEFORE_X) + p256.COORDINATE + len(_BEFORE_Y)


def read_cose_key(data: bytes) -> bytes:
    """The point, X || Y, of exactly what `cose_key` writes. Raises CertificateError."""
    point = data[_X : _X + p256.COORDINATE] + data[_Y:]
    if len(point) == p256.XY_BYTES and data == b"".join(
        (_BEFORE_X, point[: p256.COORDINATE], _BEFORE_Y, point[p256.COORDINATE :])
    ):
        return point
    return _read_cose_key(data)


def _read_cose_key(data: bytes) -> bytes:
    """The same, field by field: says what is wrong."""
    try:
        value = cbor.decode(data, limit=256)
    except cbor.CborError as error:
        raise CertificateError(f"certificate: subject public key: {error}") from error
    fields = Fields(value, "subject public key", CertificateError)
    fields.expect(KEY_TYPE, "key type", 2)
    fields.expect(KEY_ALG, "algorithm", cose.ES256)
    fields.expect(KEY_OPS, "key operations", [2])
    fields.expect(KEY_CURVE, "curve", 1)
    x = fields.data(KEY_X, "X", p256.COORDINATE)
    y = fields.data(KEY_Y, "Y", p256.COORDINATE)
    fields.end()
    return x + y


def _on_curve(point: bytes) -> p256.PublicKey:
    try:
        return p256.from_xy(point)
    except PublicKeyError as error:
        raise CertificateError(f"certificate: {error}") from error


@lru_cache(maxsize=1024)  # devices with one image have one descriptor
def _descriptor(data: bytes) -> tuple[bytes, bytes, int, str]:
    """Boot digest, policy digest, security counter and board name."""
    try:
        value = cbor.decode(data, limit=256)
    except cbor.CborError as error:
        raise CertificateError(f"configuration descriptor: {error}") from error
    fields = Fields(value, "configuration descriptor", CertificateError)
    boot = fields.data(dice.CONFIG_BOOT, "boot digest", 32)
    policy = fields.data(dice.CONFIG_POLICY, "policy digest", 32)
    counter = fields.uint(dice.CONFIG_COUNTER, "security counter", 0xFFFFFFFF)
    board = fields.text(dice.CONFIG_BOARD, "board name", BOARD_MAX)
    fields.end()
    return boot, policy, counter, board
