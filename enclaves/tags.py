# SPDX-License-Identifier: Apache-2.0
"""Tags: one kind of somebody's data each, with the owners who may let it go."""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_TAGS = 64  # two words of label on the device (include/coffret/tables.h)
TAG_NAME = re.compile(r"[a-z][a-z0-9_]*(/[a-z0-9_]+)?")
TAG_NAME_BYTES = 40


@dataclass(frozen=True, slots=True)
class Owner:
    """Somebody who holds a key. `key_digest` is SHA-256 of the DER SubjectPublicKeyInfo."""

    name: str
    key_digest: bytes


@dataclass(frozen=True, slots=True)
class Tag:
    """One kind of data. Any single one of `owners` may grant its release or vouching."""

    name: str
    says: str
    owners: tuple[Owner, ...]


def is_tag_name(name: str) -> bool:
    """Whether `name` is well formed: `health`, `alice/health`."""
    return len(name) <= TAG_NAME_BYTES and TAG_NAME.fullmatch(name) is not None
