# SPDX-License-Identifier: Apache-2.0
"""LMS public keys: the second, hash-based signature of an image (RFC 8554, NIST SP 800-208).

One parameter set, the one that mbedTLS verifies on the board: LMS_SHA256_M32_H10 with
LMOTS_SHA256_N32_W8, so a key makes 1,024 signatures. Arithmetic by the `pyhsslms` package.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import importlib
import re
from dataclasses import dataclass
from typing import Any

HEIGHT = 10
SIGNATURES = 1 << HEIGHT  # of one key, ever
NODE = 32  # bytes of a node, a seed, a digest
IDENTIFIER = 16  # bytes of I
# RFC 8554 section 5.4: leaf number, LM-OTS signature (type, C, 34 values), type, path.
SIGNATURE_SIZE = 4 + (4 + NODE + 34 * NODE) + 4 + HEIGHT * NODE
LMS_TYPE = bytes.fromhex("00000006")  # LMS_SHA256_M32_H10, RFC 8554 section 5.1
OTS_TYPE = bytes.fromhex("00000004")  # LMOTS_SHA256_N32_W8, section 4.1

# RFC 9802 section 5: id-alg-hss-lms-hashsig without parameters, and an HSS public key of one level
# as it is.
_HSS_LEVELS = bytes.fromhex("00000001")
_DER = bytes.fromhex("304e300d060b2a864886f70d0109100311033d00") + _HSS_LEVELS
_PUBLIC_SIZE = 4 + 4 + IDENTIFIER + NODE
_END = "-----END PUBLIC KEY-----"
_PEM = re.compile(rf"\s*-----BEGIN PUBLIC KEY-----\s+([A-Za-z0-9+/=\s]{{1,400}}){_END}\s*")


class LmsError(ValueError):
    """Bytes that are no LMS key of ours; the message says what is wrong."""


@dataclass(frozen=True, slots=True)
class LmsPublicKey:
    """I (16 bytes) and the root of the tree (32 bytes)."""

    identifier: bytes
    root: bytes

    def __post_init__(self) -> None:
        if (len(self.identifier), len(self.root)) != (IDENTIFIER, NODE):
            raise ValueError("an LMS public key is 16 and 32 bytes")

    @property
    def raw(self) -> bytes:
        """As RFC 8554 section 5.3 has it, 56 bytes."""
        return LMS_TYPE + OTS_TYPE + self.identifier + self.root

    @property
    def der(self) -> bytes:
        """The SubjectPublicKeyInfo."""
        return _DER + self.raw

    @property
    def key_hash(self) -> bytes:
        """KEYHASH: SHA-256 of the SubjectPublicKeyInfo, 32 bytes."""
        return hashlib.sha256(self.der).digest()

    def pem(self) -> str:
        """The SubjectPublicKeyInfo in PEM."""
        text = base64.b64encode(self.der).decode()
        lines = "\n".join(text[at : at + 64] for at in range(0, len(text), 64))
        return f"-----BEGIN PUBLIC KEY-----\n{lines}\n-----END PUBLIC KEY-----\n"

    @classmethod
    def from_raw(cls, data: bytes) -> LmsPublicKey:
        """From 56 bytes as in RFC 8554. Raises LmsError."""
        if len(data) != _PUBLIC_SIZE or data[:8] != LMS_TYPE + OTS_TYPE:
            raise LmsError("it is no LMS key with SHA-256, M32, H10 and W8")
        return cls(data[8 : 8 + IDENTIFIER], data[8 + IDENTIFIER :])

    @classmethod
    def from_pem(cls, text: str) -> LmsPublicKey:
        """One key. Raises LmsError."""
        found = _PEM.fullmatch(text)
        if found is None:
            raise LmsError("it is no PEM public key")
        try:
            der = base64.b64decode("".join(found[1].split()), validate=True)
        except binascii.Error:
            raise LmsError("its base64 is damaged") from None
        if not der.startswith(_DER):
            raise LmsError("it is no public key of HSS/LMS with one level (RFC 9802)")
        return cls.from_raw(der[len(_DER) :])

    def is_signature(self, digest: bytes, signature: bytes) -> bool:
        """Whether this key made the signature (1,452 bytes) over the digest (32 bytes)."""
        # Checked here: pyhsslms asks for less (a leaf number may be one too large).
        types = signature[4:8], signature[-HEIGHT * NODE - 4 : -HEIGHT * NODE]
        if (
            len(digest) != NODE
            or len(signature) != SIGNATURE_SIZE
            or types != (OTS_TYPE, LMS_TYPE)
            or int.from_bytes(signature[:4], "big") >= SIGNATURES
        ):
            return False
        key = pyhsslms().LmsPublicKey(self.identifier, self.root, LMS_TYPE, OTS_TYPE)
        return bool(key.verify(digest, signature))


def read_pems(text: str) -> tuple[LmsPublicKey, ...]:
    """Keys, one PEM behind the other. Raises LmsError for anything else, and for none."""
    *blocks, rest = text.split(_END)
    if not blocks or rest.strip():
        raise LmsError("it is no PEM public key")
    return tuple(LmsPublicKey.from_pem(block + _END) for block in blocks)


def pyhsslms() -> Any:
    """The package, untyped."""
    return importlib.import_module("pyhsslms")
