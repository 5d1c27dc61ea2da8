# SPDX-License-Identifier: Apache-2.0
"""Whose images a boot starts: its keys with their generations and roles, and how many must sign."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from boards.errors import USAGE, CoffretError
from firmware.image.lms import LmsPublicKey

# runtime/boot/image.c: a bit a key in a word, and so many signatures in an image.
KEYS_MAX = 16
SIGNATURES_MAX = 4
LMS_KEYS_MAX = 8


class TrustError(CoffretError):
    """Keys that cannot work together."""

    def __init__(self, message: str, mend: str) -> None:
        super().__init__(message, mend, USAGE)


def key_hash(key: ec.EllipticCurvePublicKey) -> bytes:
    """The KEYHASH of a signing key: SHA-256 of its DER SubjectPublicKeyInfo, 32 bytes."""
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).digest()


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """A key that boot knows. An image can revoke all keys of generations below its signers'.

    A `development` key counts for nothing once the device is secured (provisioned).
    """

    key: ec.EllipticCurvePublicKey
    generation: int = 0
    development: bool = False


@dataclass(frozen=True, slots=True)
class TrustedLmsKey:
    """An LMS key that boot knows; generation and role as of the others."""

    key: LmsPublicKey
    generation: int = 0
    development: bool = False


@dataclass(frozen=True, slots=True)
class Trust:
    """The keys of one boot; an image needs good signatures by `threshold` of them.

    With LMS keys it needs, beside them, one of an LMS key. With `decommission` the keys may also
    end a device by an order (`coffret decommission`). Raises TrustError without a key, with
    one twice, one that is not on P-256, or a threshold that no image could reach.
    """

    keys: tuple[TrustedKey, ...]
    threshold: int = 1
    lms_keys: tuple[TrustedLmsKey, ...] = ()
    decommission: bool = True

    @classmethod
    def of(cls, keys: Iterable[ec.EllipticCurvePublicKey], threshold: int = 1) -> Trust:
        """Release keys, all of one generation."""
        return cls(tuple(TrustedKey(key) for key in keys), threshold)

    def __post_init__(self) -> None:
        if not self.keys:
            mend = "give the public key of whoever signs the images"
            raise TrustError("boot: no signing key", mend)
        for trusted in self.keys:
            curve = trusted.key.curve
            if not isinstance(curve, ec.SECP256R1):
                raise TrustError(
                    f"boot: a signing key on {curve.name}", "use an ECDSA key on P-256"
                )
        for generation in self._generations():
            if not 0 <= generation <= 0xFFFF:
                raise TrustError(f"boot: a key of generation {generation}", "count from 0 to 65535")
        if len({key_hash(trusted.key) for trusted in self.keys}) != len(self.keys):
            raise TrustError("boot: a signing key is listed twice", "name each key once")
        if len({trusted.key for trusted in self.lms_keys}) != len(self.lms_keys):
            raise TrustError("boot: an LMS key is listed twice", "name each key once")
        if len(self.keys) > KEYS_MAX:
            raise TrustError(
                f"boot: {len(self.keys)} signing keys", f"boot has room for {KEYS_MAX}"
            )
        if len(self.lms_keys) > LMS_KEYS_MAX:
            raise TrustError(
                f"boot: {len(self.lms_keys)} LMS keys", f"boot has room for {LMS_KEYS_MAX}"
            )
        if not 1 <= self.threshold <= min(len(self.keys), SIGNATURES_MAX):
            most = min(len(self.keys), SIGNATURES_MAX)
            raise TrustError(
                f"boot: {self.threshold} signatures of {len(self.keys)} keys",
                f"ask for 1 to {most}",
            )

    def _generations(self) -> Iterator[int]:
        yield from (trusted.generation for trusted in self.keys)
        yield from (trusted.generation for trusted in self.lms_keys)

    @property
    def post_quantum(self) -> bool:
        """Whether an image needs an LMS signature."""
        return bool(self.lms_keys)

    def check_lms_signer(self, key: LmsPublicKey | None) -> None:
        """That images which this LMS key signs, None: no LMS key, satisfy boot. TrustError."""
        known = [trusted.key for trusted in self.lms_keys]
        if key is None and known:
            raise TrustError(
                "boot asks for an LMS signature (post_quantum), and there is no LMS key",
                "give --lms-key FILE (`coffret keys new lms` makes one), or build --unsigned",
            )
        if key is not None and key not in known:
            what = "asks for another LMS key" if known else "asks for no LMS signature"
            raise TrustError(
                f"boot {what}, and would refuse what this one signs",
                "name it as [[lms_key]] in trust.toml, with post_quantum = true",
            )
