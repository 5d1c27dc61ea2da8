# SPDX-License-Identifier: Apache-2.0
"""Public keys on P-256 as the device and its documents write them: 64 bytes, X then Y."""

from __future__ import annotations

import hashlib
from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric import ec

from attest.errors import PublicKeyError
from enclaves.keys import key_digest

key_hash = key_digest  # MCUboot's key hash, and the token's signer id

COORDINATE = 32
XY_BYTES = 2 * COORDINATE

PrivateKey = ec.EllipticCurvePrivateKey
PublicKey = ec.EllipticCurvePublicKey


def xy(key: PublicKey) -> bytes:
    """The point as X || Y, big endian, 64 bytes."""
    numbers = key.public_numbers()
    return numbers.x.to_bytes(COORDINATE, "big") + numbers.y.to_bytes(COORDINATE, "big")


@lru_cache(maxsize=64)  # an identity's key is wanted twice within one appraisal
def from_xy(data: bytes) -> PublicKey:
    """Read X || Y. Raises PublicKeyError for another length or a point that is not on the curve."""
    if len(data) != XY_BYTES:
        raise PublicKeyError(f"a public key of {len(data)} bytes, X || Y has {XY_BYTES}")
    x, y = (int.from_bytes(data[i : i + COORDINATE], "big") for i in (0, COORDINATE))
    try:
        return ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    except ValueError as error:
        raise PublicKeyError("a public key that is no point of P-256") from error


def instance_id(identity: PublicKey) -> bytes:
    """0x01 || SHA-256(0x04 || X || Y), 33 bytes: RFC 9783 section 4.2.1, a UEID of type RAND."""
    return b"\x01" + hashlib.sha256(b"\x04" + xy(identity)).digest()
