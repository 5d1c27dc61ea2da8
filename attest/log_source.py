# SPDX-License-Identifier: Apache-2.0
"""Where heads and proofs come from: the log in one's own database, or a service that keeps one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import sqlalchemy as sa

from attest import log, p256
from attest.errors import LogError
from attest.inventory import Inventory
from attest.log import Consistency, Inclusion
from attest.log_store import Log, about_result

if TYPE_CHECKING:
    from attest.service.client import Client


@contextmanager
def opened(location: str | None = None) -> Iterator[Log]:
    """The log in the inventory at a path or URL, in one transaction. Raises LogError."""
    inventory = Inventory.open(location)
    try:
        with inventory.engine.begin() as connection:
            yield Log(connection)
    except sa.exc.SQLAlchemyError as error:
        raise LogError(f"the log does not answer: {type(error).__name__}") from error
    finally:
        inventory.close()


@dataclass(frozen=True, slots=True)
class Wanted:
    """The entry that is to be proved: by its number, a verdict's id, or its leaf's hash."""

    entry: int | None = None
    result: int | None = None
    leaf: bytes | None = None

    @property
    def path(self) -> str:
        """How a service is asked for it."""
        if self.leaf is not None:
            return f"release/{self.leaf.hex()}"
        return f"entry/{self.entry}" if self.result is None else f"result/{self.result}"

    def number_in(self, mine: Log) -> int | None:
        """Its number, None if the log has no such entry."""
        if self.leaf is not None:
            return mine.find(self.leaf)
        if self.result is not None:
            return mine.find(about_result(self.result))
        return self.entry if self.entry is not None and self.entry < mine.size else None


class Source(Protocol):
    """Gives signed heads and proofs. Every method raises LogError or CoffretError."""

    def head(self) -> bytes:
        """A head over everything so far."""

    def prove(self, wanted: Wanted) -> Inclusion | None:
        """That it is in the log; None if it is not."""

    def extend(self, older: bytes) -> Consistency:
        """That the log only grew since this head."""


@dataclass(frozen=True, slots=True)
class OwnLog:
    """The log in a database, and the key of its heads."""

    location: str
    key: p256.PrivateKey

    def head(self) -> bytes:
        with opened(self.location) as mine:
            return mine.head(self.key)

    def prove(self, wanted: Wanted) -> Inclusion | None:
        with opened(self.location) as mine:
            return prove(mine, wanted, self.key)

    def extend(self, older: bytes) -> Consistency:
        with opened(self.location) as mine:
            return mine.extend(older, mine.head(self.key), self.key.public_key())


@dataclass(frozen=True, slots=True)
class ServiceLog:
    """A service's log, and the public key that its heads must be signed with."""

    client: Client
    key: p256.PublicKey

    def head(self) -> bytes:
        signed = self.client.log_head()
        log.read_head(signed, self.key)
        return signed

    def prove(self, wanted: Wanted) -> Inclusion | None:
        data = self.client.log_proof(wanted.path)
        if data is None:
            return None
        proof = log.read_proof(data)
        log.check(proof, self.key)
        if not isinstance(proof, Inclusion):
            raise LogError("proof: of something else than was asked for")
        return proof

    def extend(self, older: bytes) -> Consistency:
        proof = log.read_proof(self.client.log_consistency(older))
        log.check(proof, self.key)
        if not isinstance(proof, Consistency) or proof.older != older:
            raise LogError("proof: of something else than was asked for")
        return proof


def prove(mine: Log, wanted: Wanted, key: p256.PrivateKey) -> Inclusion | None:
    """A proof under a head of this moment; None if the log has no such entry."""
    number = wanted.number_in(mine)
    if number is None:
        return None
    return mine.prove(number, mine.head(key), key.public_key())
