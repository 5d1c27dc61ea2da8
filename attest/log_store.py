# SPDX-License-Identifier: Apache-2.0
"""Keeps the transparency log in the inventory's database, within the caller's transaction.

A verdict and its entry are committed together, so there is no moment between them in which a crash
could lose one, and nothing to reconcile. Appending takes a lock that lasts until the caller has
committed: append last, and many entries at once.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from attest import merkle, p256
from attest.errors import LogError
from attest.log import MAX_ENTRY, Consistency, Head, Inclusion, read_head, sign_head
from attest.tables import LOG_ENTRIES, LOG_NODES

_LOCK = 0x636F6C67  # any number that nobody else locks
_Place = tuple[int, int]  # level and number: the subtree over 2^level entries


@dataclass(frozen=True, slots=True)
class Entry:
    """What to append. `about` finds it again: `about_result` or `about_content`."""

    about: bytes
    content: bytes

    @classmethod
    def of(cls, content: bytes) -> Entry:
        """An entry that is found by its content."""
        return cls(about_content(content), content)


def about_result(result: int) -> bytes:
    """Of the verdict with this id. Ids grow with time, so an index over them stays compact."""
    return result.to_bytes(8, "big")


def about_content(content: bytes) -> bytes:
    """Of an entry with exactly this content: its leaf's hash."""
    return merkle.leaf_hash(content)


class Log:
    """The log as a transaction sees it."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    @property
    def size(self) -> int:
        """How many entries there are."""
        last = self._connection.execute(sa.select(sa.func.max(LOG_ENTRIES.c.number))).scalar_one()
        return 0 if last is None else last + 1

    def append(self, entries: Sequence[Entry]) -> int:
        """Add entries; they are there once the caller's transaction is committed.

        Returns the number of the first, counting from 0; the others follow it.
        """
        longest = max((len(entry.content) for entry in entries), default=0)
        if longest > MAX_ENTRY:
            raise LogError(f"an entry of {longest} bytes, at most {MAX_ENTRY} may be")
        self._lock()
        first = self.size
        if not entries:
            return first
        rows = [
            {"number": first + place, "about": entry.about, "content": entry.content}
            for place, entry in enumerate(entries)
        ]
        self._insert(LOG_ENTRIES, rows)
        nodes = self._completed(first, [entry.content for entry in entries])
        if nodes:
            self._insert(
                LOG_NODES,
                [
                    {"level": level, "number": number, "hash": value}
                    for (level, number), value in nodes.items()
                ],
            )
        return first

    def entry(self, number: int) -> bytes:
        """The content of the entry with this number. Raises LogError."""
        query = sa.select(LOG_ENTRIES.c.content).where(LOG_ENTRIES.c.number == number)
        found: bytes | None = self._connection.execute(query).scalar_one_or_none()
        if found is None:
            raise LogError(f"the log has no entry {number}")
        return found

    def find(self, about: bytes) -> int | None:
        """The number of the first entry about this (see `Entry`)."""
        query = sa.select(sa.func.min(LOG_ENTRIES.c.number)).where(LOG_ENTRIES.c.about == about)
        found: int | None = self._connection.execute(query).scalar_one()
        return found

    def head(self, key: p256.PrivateKey, now: int | None = None) -> bytes:
        """A head over everything so far, signed."""
        size = self.size
        root = self._root(0, size) if size else merkle.EMPTY_ROOT
        return sign_head(Head(size, root, int(time.time()) if now is None else now), key)

    def prove(self, number: int, head: bytes, key: p256.PublicKey) -> Inclusion:
        """That entry `number` is under a head of this log. Raises LogError."""
        size = read_head(head, key).size
        if not 0 <= number < size <= self.size:
            raise LogError(f"entry {number} is not under this head of {size} entries")
        path = merkle.inclusion_proof(number, size, self._root)
        return Inclusion(self.entry(number), number, head, tuple(path))

    def extend(self, older: bytes, newer: bytes, key: p256.PublicKey) -> Consistency:
        """That the log under `newer` begins with the one under `older`. Raises LogError."""
        before, after = read_head(older, key), read_head(newer, key)
        if not 0 < before.size <= after.size <= self.size:
            raise LogError(f"a head of {before.size} entries is not before one of {after.size}")
        path = merkle.consistency_proof(before.size, after.size, self._root)
        return Consistency(older, newer, tuple(path))

    def _lock(self) -> None:
        """Nobody else appends until the caller commits. Readers go on."""
        if self._connection.dialect.name == "postgresql":
            # Not the table's own lock: for that one would wait for autovacuum, up to a second.
            self._connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        else:  # SQLite has one writer, which is whoever has begun to write: this writes nothing
            self._connection.execute(sa.delete(LOG_ENTRIES).where(LOG_ENTRIES.c.number < 0))

    def _insert(self, table: sa.Table, rows: list[dict[str, Any]]) -> None:
        """In one statement, which SQLAlchemy makes only of one that returns."""
        self._connection.execute(sa.insert(table).returning(table.c.number), rows).scalars().all()

    def _completed(self, first: int, contents: list[bytes]) -> dict[_Place, bytes]:
        """Every subtree that these entries, from number `first`, complete."""
        known = self._edge(first)
        fresh: dict[_Place, bytes] = {}
        hashes = [merkle.leaf_hash(content) for content in contents]
        level, start = 0, first
        while hashes:
            if start % 2:  # its left neighbour was there before
                start -= 1
                hashes.insert(0, known[level, start])
            hashes = [
                merkle.node_hash(left, right)
                for left, right in zip(hashes[::2], hashes[1::2], strict=False)
            ]
            level, start = level + 1, start // 2
            fresh |= {(level, start + place): value for place, value in enumerate(hashes)}
        return fresh

    def _edge(self, size: int) -> dict[_Place, bytes]:
        """The roots of the perfect subtrees that a log of this size consists of."""
        places = [(level, (size >> level) - 1) for level in range(1, 63) if size >> level & 1]
        key = sa.tuple_(LOG_NODES.c.level, LOG_NODES.c.number)
        query = sa.select(LOG_NODES).where(key.in_(places))
        edge = {(row.level, row.number): row.hash for row in self._connection.execute(query)}
        if len(edge) != len(places):
            raise LogError("the log is damaged: a hash is missing")
        if size % 2:
            edge[0, size - 1] = merkle.leaf_hash(self.entry(size - 1))
        return edge

    def _node(self, level: int, number: int) -> bytes:
        if level == 0:
            return merkle.leaf_hash(self.entry(number))
        query = sa.select(LOG_NODES.c.hash).where(
            (LOG_NODES.c.level == level) & (LOG_NODES.c.number == number)
        )
        found: bytes | None = self._connection.execute(query).scalar_one_or_none()
        if found is None:
            raise LogError("the log is damaged: a hash is missing")
        return found

    def _root(self, start: int, end: int) -> bytes:
        """The root of a range: stored where it is a perfect subtree, else of its two parts."""
        size = end - start
        if size & (size - 1) == 0 and start % size == 0:
            level = size.bit_length() - 1
            return self._node(level, start >> level)
        middle = start + merkle.split(size)
        return merkle.node_hash(self._root(start, middle), self._root(middle, end))
