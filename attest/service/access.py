# SPDX-License-Identifier: Apache-2.0
"""Who may use the service, and for what. Keys are random and shown once; only a hash is kept.

A key has 256 random bits, so that its plain SHA-256 is as good as a slow hash of a password. With
mTLS the digest is that of the client's certificate instead.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import time
from dataclasses import dataclass
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from attest.tables import ACCESS_KEYS
from boards.errors import USAGE, CoffretError

PREFIX = "coffret_"
NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
FRESH_FOR = 1.0  # seconds that a worker trusts what it read: a revoked key ends within them


class Right(StrEnum):
    """What a key may do."""

    ATTEST = "attest"  # open sessions and bring evidence for them
    CHOOSE = "choose-nonce"  # give the nonce oneself: for relying parties, not for gateways
    PROVISION = "provision"  # add and withdraw reference values and endorsements
    READ = "read"  # inventory, results, the page


class AccessError(CoffretError):
    """An access key cannot be made or found."""


@dataclass(frozen=True, slots=True)
class AccessKey:
    """One holder. `revoked` is when, or None."""

    name: str
    kind: str
    rights: frozenset[Right]
    created: int
    revoked: int | None = None

    def may(self, right: Right) -> bool:
        return right in self.rights

    def to_json(self) -> dict[str, object]:
        return {
            "name": self.name,
            "kind": self.kind,
            "rights": sorted(self.rights),
            "created": self.created,
            "revoked": self.revoked,
        }


def new_key(engine: sa.Engine, name: str, rights: frozenset[Right]) -> str:
    """Make an access key; returns its secret, which is nowhere else. Raises AccessError."""
    secret = PREFIX + base64.urlsafe_b64encode(secrets.token_bytes(32)).rstrip(b"=").decode()
    _add(engine, name, rights, "key", digest_of(secret))
    return secret


def new_certificate(engine: sa.Engine, name: str, rights: frozenset[Right], der: bytes) -> None:
    """Let the holder of a TLS client certificate in. Raises AccessError."""
    _add(engine, name, rights, "certificate", hashlib.sha256(der).digest())


def revoke(engine: sa.Engine, name: str) -> None:
    """End a key's rights. Raises AccessError when there is none of that name."""
    ours = (ACCESS_KEYS.c.name == name) & ACCESS_KEYS.c.revoked.is_(None)
    with engine.begin() as connection:
        done = connection.execute(
            sa.update(ACCESS_KEYS).where(ours).values(revoked=int(time.time()))
        )
    if done.rowcount != 1:
        raise AccessError(
            f"there is no access key {name!r}", "coffret access list names them", USAGE
        )


def listing(engine: sa.Engine) -> list[AccessKey]:
    """All keys by name, revoked ones too."""
    return sorted(_read(engine).values(), key=lambda key: key.name)


def digest_of(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()


class Gate:
    """The keys in force, read anew when what is known is FRESH_FOR seconds old."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._keys: dict[bytes, AccessKey] = {}
        self._read_at = float("-inf")

    def holder(self, digest: bytes) -> AccessKey | None:
        """Whose digest this is, of a secret or a certificate."""
        now = time.monotonic()
        if now - self._read_at > FRESH_FOR:
            self._keys = {d: key for d, key in _read(self._engine).items() if key.revoked is None}
            self._read_at = now
        return self._keys.get(digest)


def _add(engine: sa.Engine, name: str, rights: frozenset[Right], kind: str, digest: bytes) -> None:
    if not NAME.fullmatch(name):
        raise AccessError(
            f"{name!r} cannot be the name of an access key",
            "use up to 64 of a-z, 0-9, dot, dash and underscore",
            USAGE,
        )
    row = {
        "name": name,
        "digest": digest,
        "kind": kind,
        "rights": ",".join(sorted(rights)),
        "created": int(time.time()),
        "revoked": None,
    }
    try:
        with engine.begin() as connection:
            connection.execute(sa.insert(ACCESS_KEYS).values(row))
    except IntegrityError:
        raise AccessError(
            f"there is an access key {name!r} (or one with this certificate) already",
            "choose another name; a revoked one is not given again",
            USAGE,
        ) from None


def _read(engine: sa.Engine) -> dict[bytes, AccessKey]:
    with engine.connect() as connection:
        rows = connection.execute(sa.select(ACCESS_KEYS)).all()
    return {
        row.digest: AccessKey(
            row.name,
            row.kind,
            frozenset(Right(right) for right in row.rights.split(",") if right),
            row.created,
            row.revoked,
        )
        for row in rows
    }
