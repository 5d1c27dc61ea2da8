# SPDX-License-Identifier: Apache-2.0
"""LMS keys for tests, made in no time: only the first leaves are anybody's, the others are noise.

Such a key is as good as any other for whoever checks a signature.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from attest import lms_keys
from attest.lms_keys import LmsKey
from firmware.image.lms import LmsPublicKey

REAL = 24


def make_lms_key(path: Path, name: bytes = b"first", real: int = REAL) -> LmsKey:
    """A key file that can sign `real` times. The same name, the same key."""
    secret = hashlib.sha256(b"coffret tests: " + name).digest()

    def public(identifier: bytes, seed: bytes, leaf: int) -> bytes:
        if leaf < real:
            return lms_keys.ots_public(identifier, seed, leaf)
        return hashlib.sha256(secret + leaf.to_bytes(2, "big")).digest()

    lms_keys.write_key(path, secret[:16], secret, public)
    return lms_keys.load(path)


@dataclass(frozen=True, slots=True)
class FixedLmsSigner:
    """A signature that somebody made up, under a key's name."""

    public_key: LmsPublicKey
    value: bytes

    def sign_digest(self, digest: bytes) -> bytes:  # noqa: ARG002 - whatever it is
        return self.value
