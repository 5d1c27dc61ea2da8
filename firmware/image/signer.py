# SPDX-License-Identifier: Apache-2.0
"""Who signs an image: a key in memory or in a token, ECDSA and LMS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from firmware.image.lms import LmsPublicKey


class ImageSigner(Protocol):
    """Holds a P-256 key, perhaps in a token."""

    @property
    def public_key(self) -> ec.EllipticCurvePublicKey:
        """The key that boot trusts."""

    def sign_digest(self, digest: bytes) -> bytes:
        """ECDSA over a SHA-256 digest (32 bytes), DER; deterministic, so that images reproduce."""


class LmsSigner(Protocol):
    """Holds an LMS key and guards its state: no two calls use one leaf, whatever happens."""

    @property
    def public_key(self) -> LmsPublicKey:
        """The key that boot trusts."""

    def sign_digest(self, digest: bytes) -> bytes:
        """An LMS signature over a digest (32 bytes), 1,452 bytes; another one each time."""


@dataclass(frozen=True, slots=True)
class AbsentSigner:
    """Whose signature is to come first is known, but the key is elsewhere."""

    public_key: ec.EllipticCurvePublicKey


@dataclass(frozen=True, slots=True)
class LocalSigner:
    """A private key in memory; signs after RFC 6979."""

    key: ec.EllipticCurvePrivateKey

    @property
    def public_key(self) -> ec.EllipticCurvePublicKey:
        return self.key.public_key()

    def sign_digest(self, digest: bytes) -> bytes:
        algorithm = ec.ECDSA(utils.Prehashed(hashes.SHA256()), deterministic_signing=True)
        return self.key.sign(digest, algorithm)
