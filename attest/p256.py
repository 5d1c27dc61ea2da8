# SPDX-License-Identifier: Apache-2.0
"""Public keys on P-256 as the device and its documents write them: 64 bytes, X then Y."""

from __future__ import annotations

import hashlib
from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric import ec

from attest.errors import PublicKeyError
from enclaves.keys import key_digest

COORDINATE = 32
REMEMBERED = 4096  # devices whose keys, certificates and endorsements a process keeps at hand
XY_BYTES = 2 * COORDINATE

PrivateKey = ec.EllipticCurvePrivateKey
PublicKey = ec.EllipticCurvePublicKey


class Held:
    """A public key as the key of a cache: equal to itself only, and kept while the entry is.

    Keys of `cryptography` have no hash, and their bytes take as long as what is to be remembered.
    """

    __slots__ = ("key",)

    def __init__(self, key: PublicKey) -> None:
        self.key = key

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Held) and self.key is other.key

    def __hash__(self) -> int:
        return id(self.key)


def xy(key: PublicKey) -> bytes:
    """The point as X || Y, big endian, 64 bytes."""
    return _xy(Held(key))


@lru_cache(maxsize=REMEMBERED)
def _xy(held: Held) -> bytes:
    numbers = held.key.public_numbers()
    return numbers.x.to_bytes(COORDINATE, "big") + numbers.y.to_bytes(COORDINATE, "big")


def key_hash(key: PublicKey) -> bytes:
    """SHA-256 of the SubjectPublicKeyInfo: MCUboot's key hash, and the token's signer id."""
    return _key_hash(Held(key))


@lru_cache(maxsize=64)  # of operators and signers, who are few
def _key_hash(held: Held) -> bytes:
    return key_digest(held.key)


@lru_cache(maxsize=REMEMBERED)
def from_xy(data: bytes) -> PublicKey:
    """Read X || Y. Raises PublicKeyError for another length or a point that is not on the curve."""
    if len(data) != XY_BYTES:
        raise PublicKeyError(f"a public key of {len(data)} bytes, X || Y has {XY_BYTES}")
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + data)
    except ValueError as error:
        raise PublicKeyError("a public key that is no point of P-256") from error


def instance_id(identity: PublicKey) -> bytes:
    """The instance id of the device with this identity key (see `instance_id_of`)."""
    return instance_id_of(xy(identity))


def instance_id_of(point: bytes) -> bytes:
    """0x01 || SHA-256(0x04 || X || Y), 33 bytes: RFC 9783 section 4.2.1, a UEID of type RAND."""
    return b"\x01" + hashlib.sha256(b"\x04" + point).digest()
