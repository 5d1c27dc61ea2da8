# SPDX-License-Identifier: Apache-2.0
"""Owners' keys: P-256, as PEM files a person can carry about."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

MAX_PEM_BYTES = 16 * 1024


class KeyFileError(ValueError):
    """The file is not the key that is wanted; says why."""


def key_digest(key: ec.EllipticCurvePublicKey) -> bytes:
    """SHA-256 of the DER SubjectPublicKeyInfo: the name of a key everywhere in coffret."""
    return hashlib.sha256(
        key.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    ).digest()


def read_public(path: Path) -> ec.EllipticCurvePublicKey:
    """The public key in a PEM file (`BEGIN PUBLIC KEY`). Raises KeyFileError, OSError."""
    return parse_public(_read(path))


def parse_public(data: bytes) -> ec.EllipticCurvePublicKey:
    """The public key in PEM. Raises KeyFileError."""
    if b"PRIVATE KEY" in data:
        raise KeyFileError("a private key, where the public one belongs")
    try:
        key = serialization.load_pem_public_key(_bounded(data))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyFileError("not a PEM public key (SubjectPublicKeyInfo)") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise KeyFileError("not a P-256 key")
    return key


def read_private(path: Path) -> ec.EllipticCurvePrivateKey:
    """The private key in an unencrypted PKCS #8 or SEC 1 PEM file. Raises KeyFileError, OSError."""
    return parse_private(_read(path))


def parse_private(data: bytes) -> ec.EllipticCurvePrivateKey:
    """The private key in unencrypted PEM. Raises KeyFileError, which quotes nothing of it."""
    try:
        key = serialization.load_pem_private_key(_bounded(data), password=None)
    except TypeError:
        raise KeyFileError("an encrypted private key; decrypt it first") from None
    except (ValueError, UnsupportedAlgorithm):
        # The cause is left out on purpose: it could quote what is in the file.
        raise KeyFileError("not a PEM private key") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise KeyFileError("not a P-256 key")
    return key


def write_atomically(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Write `path` by a temporary file and a rename, so that it is whole or absent."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(mode)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_PEM_BYTES + 1)


def _bounded(data: bytes) -> bytes:
    if len(data) > MAX_PEM_BYTES:
        raise KeyFileError(f"longer than {MAX_PEM_BYTES} bytes")
    return data
