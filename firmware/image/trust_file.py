# SPDX-License-Identifier: Apache-2.0
"""`trust.toml`: whose images a boot starts, for builds with more than one signing key.

threshold = 2
decommission = false                   # no order ends a device; boot is 450 bytes smaller
[[key]]
file = "keys/release-2026.pub.pem"     # relative to this file
generation = 1
[[key]]
file = "keys/bench.pub.pem"
role = "development"

post_quantum = true                    # at the top: images need an LMS signature, too,
[[lms_key]]                            # by one of these
file = "keys/lms.pub.pem"
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Literal

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from firmware.image.lms import LmsError, LmsPublicKey
from firmware.image.trust import Trust, TrustedKey, TrustedLmsKey, TrustError

_MAX = 64 << 10


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Key(_Table):
    file: str
    generation: int = 0
    role: Literal["release", "development"] = "release"


class _File(_Table):
    threshold: int = 1
    decommission: bool = True
    post_quantum: bool = False
    key: list[_Key] = Field(min_length=1)
    lms_key: list[_Key] = Field(default=[])


def load_trust(path: Path) -> Trust:
    """Reads the file. Raises TrustError, which names file and key."""
    mend = "docs/operators.md, Signing, shows one"
    try:
        found = _File.model_validate(tomllib.loads(_read(path).decode()))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise TrustError(f"{path}: {key}: {first['msg']}", mend) from None
    except ValueError as error:
        raise TrustError(f"{path}: {error}", mend) from None
    if found.post_quantum != bool(found.lms_key):
        what = "LMS keys, which nobody asks for" if found.lms_key else "no LMS key to ask for"
        raise TrustError(
            f"{path}: post_quantum: {str(found.post_quantum).lower()}, with {what}",
            "write post_quantum = true at the top, and an [[lms_key]] for each; or neither",
        )
    keys = (
        TrustedKey(load_public(path.parent / each.file), each.generation, each.role != "release")
        for each in found.key
    )
    lms_keys = (
        TrustedLmsKey(
            load_lms_public(path.parent / each.file), each.generation, each.role != "release"
        )
        for each in found.lms_key
    )
    try:
        return Trust(
            tuple(keys),
            found.threshold,
            lms_keys=tuple(lms_keys),
            decommission=found.decommission,
        )
    except TrustError as error:
        raise TrustError(f"{path}: {error.message}", error.mend) from None


def load_public(path: Path) -> ec.EllipticCurvePublicKey:
    """A P-256 public key in PEM. Raises TrustError."""
    mend = "`coffret keys public signing` writes one"
    try:
        key = load_pem_public_key(_read(path))
    except ValueError:
        raise TrustError(f"{path}: is no PEM public key", mend) from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise TrustError(f"{path}: is no P-256 public key", mend)
    return key


def load_lms_public(path: Path) -> LmsPublicKey:
    """An LMS public key in PEM. Raises TrustError."""
    try:
        return LmsPublicKey.from_pem(_read(path).decode())
    except UnicodeDecodeError:
        what = "it is no text"
    except LmsError as error:
        what = str(error)
    raise TrustError(f"{path}: {what}", "`coffret keys public lms` writes one")


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MAX)
    except OSError as error:
        what = (error.strerror or "cannot be read").lower()
        raise TrustError(f"{path}: {what}", "name a file that is there") from None
