# SPDX-License-Identifier: Apache-2.0
"""The transparency log: released bundles and verdicts, appended for ever, provable to anybody.

One SQLite file. Whoever appends signs a head over size and root; with a proof (`attest.merkle`)
anybody can check that an entry is in it, and that a later log begins with the earlier one. So a
release that was shown only to some, or taken back, does not stay unseen: its head fits no other.
"""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from attest import merkle, p256
from attest.corim import ReferenceValues
from attest.errors import LogError
from attest.maps import Fields
from attest.response import Response, pack
from attest.verdict import Verdict
from enclaves import cbor, cose

HEAD_TYPE = "application/vnd.coffret.tree-head+cbor"
MAX_ENTRY = 64 * 1024
MAX_PATH = 64  # hashes in a proof: a tree of 2^64 entries
MAX_PROOF = MAX_ENTRY + 8 * 1024

HEAD_SIZE, HEAD_ROOT, HEAD_TIME = 1, 2, 3

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entry (number INTEGER PRIMARY KEY, content BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS node (
    level INTEGER NOT NULL, number INTEGER NOT NULL, hash BLOB NOT NULL,
    PRIMARY KEY (level, number)
) WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS entry_stays BEFORE UPDATE ON entry
    BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
CREATE TRIGGER IF NOT EXISTS entry_remains BEFORE DELETE ON entry
    BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
"""


@dataclass(frozen=True, slots=True)
class Head:
    """A verified tree head: `size` entries with this root, at `time` (seconds since 1970, UTC)."""

    size: int
    root: bytes
    time: int


@dataclass(frozen=True, slots=True)
class Inclusion:
    """That `entry` is number `number` of the log whose signed head is `head`."""

    entry: bytes
    number: int
    head: bytes
    path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Consistency:
    """That the log with the signed head `newer` begins with the one of `older`."""

    older: bytes
    newer: bytes
    path: tuple[bytes, ...]


class Log:
    """An open log; safe to append to from several processes at once."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @classmethod
    @contextmanager
    def open(cls, path: Path) -> Iterator[Log]:
        """Open or make the log at `path`. Raises LogError."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(path, timeout=30, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            raise LogError(f"cannot open the log {path}: {error}") from error
        with closing(connection):
            try:
                connection.execute("PRAGMA synchronous=FULL")
                connection.executescript(_SCHEMA)
                yield cls(connection)
            except sqlite3.Error as error:
                raise LogError(f"the log {path}: {error}") from error

    def __len__(self) -> int:
        row = self._connection.execute("SELECT COALESCE(MAX(number) + 1, 0) FROM entry").fetchone()
        return int(row[0])

    def append(self, content: bytes) -> int:
        """Add an entry; it is on disk when this returns. Returns its number, from 0."""
        if len(content) > MAX_ENTRY:
            raise LogError(f"an entry of {len(content)} bytes, at most {MAX_ENTRY} may be")
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            number = len(self)
            self._connection.execute("INSERT INTO entry VALUES (?, ?)", (number, content))
            self._add_leaf(number, merkle.leaf_hash(content))
            self._connection.execute("COMMIT")
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        return number

    def entry(self, number: int) -> bytes:
        """The entry with this number. Raises LogError."""
        row = self._connection.execute(
            "SELECT content FROM entry WHERE number = ?", (number,)
        ).fetchone()
        if row is None:
            raise LogError(f"the log has no entry {number}")
        return bytes(row[0])

    def find(self, content: bytes) -> int | None:
        """The number of an entry with exactly this content."""
        row = self._connection.execute(
            "SELECT number FROM node WHERE level = 0 AND hash = ? ORDER BY number",
            (merkle.leaf_hash(content),),
        ).fetchone()
        return None if row is None else int(row[0])

    def head(self, key: p256.PrivateKey, now: int | None = None) -> bytes:
        """A head over everything so far, signed."""
        size = len(self)
        root = self._root(0, size) if size else merkle.EMPTY_ROOT
        return sign_head(Head(size, root, int(time.time()) if now is None else now), key)

    def prove(self, number: int, head: bytes, key: p256.PublicKey) -> Inclusion:
        """That entry `number` is under a head of this log. Raises LogError."""
        size = read_head(head, key).size
        if not 0 <= number < size <= len(self):
            raise LogError(f"entry {number} is not under this head of {size} entries")
        path = merkle.inclusion_proof(number, size, self._root)
        return Inclusion(self.entry(number), number, head, tuple(path))

    def extend(self, older: bytes, newer: bytes, key: p256.PublicKey) -> Consistency:
        """That the log under `newer` begins with the one under `older`. Raises LogError."""
        before, after = read_head(older, key), read_head(newer, key)
        if not 0 < before.size <= after.size <= len(self):
            raise LogError(f"a head of {before.size} entries is not before one of {after.size}")
        path = merkle.consistency_proof(before.size, after.size, self._root)
        return Consistency(older, newer, tuple(path))

    def _add_leaf(self, number: int, value: bytes) -> None:
        """Store the leaf and every perfect subtree that it completes."""
        level = 0
        while True:
            self._connection.execute("INSERT INTO node VALUES (?, ?, ?)", (level, number, value))
            if number % 2 == 0:
                return
            value = merkle.node_hash(self._node(level, number - 1), value)
            level, number = level + 1, number // 2

    def _node(self, level: int, number: int) -> bytes:
        row = self._connection.execute(
            "SELECT hash FROM node WHERE level = ? AND number = ?", (level, number)
        ).fetchone()
        if row is None:
            raise LogError("the log is damaged: a hash is missing")
        return bytes(row[0])

    def _root(self, start: int, end: int) -> bytes:
        """The root of a range: stored where it is a perfect subtree, else of its two parts."""
        size = end - start
        if size & (size - 1) == 0 and start % size == 0:
            level = size.bit_length() - 1
            return self._node(level, start >> level)
        middle = start + merkle.split(size)
        return merkle.node_hash(self._root(start, middle), self._root(middle, end))


def release(values: ReferenceValues, corim: bytes) -> bytes:
    """The entry of a released bundle: what it is, and the digest of its signed reference values."""
    return cbor.encode(
        {
            "kind": "release",
            "appliance": values.appliance,
            "version": values.version,
            "board": values.board,
            "image_a": values.image_a,
            "image_b": values.image_b,
            "policy": values.policy,
            "counter": values.security_counter,
            "corim": hashlib.sha256(corim).digest(),
        }
    )


def verdict_entry(response: Response, verdict: Verdict, at: int) -> bytes:
    """The entry of a verdict. Evidence is named by its digest, which its nonce makes unguessable:
    whoever has it finds its entry, and nobody learns from the log which devices there are.
    """
    return cbor.encode(
        {
            "kind": "verdict",
            "verdict": verdict.verdict,
            "evidence": hashlib.sha256(pack(response)).digest(),
            "policy": verdict.policy,
            "time": at,
        }
    )


def sign_head(head: Head, key: p256.PrivateKey) -> bytes:
    """The signed form of a head (COSE_Sign1, tag 18)."""
    payload = {HEAD_SIZE: head.size, HEAD_ROOT: head.root, HEAD_TIME: head.time}
    headers: dict[int | str, object] = {
        cose.HEADER_CONTENT_TYPE: HEAD_TYPE,
        cose.HEADER_KID: p256.key_hash(key.public_key()),
    }
    return cose.sign1(cbor.encode(payload), key, headers)


def read_head(data: bytes, key: p256.PublicKey) -> Head:
    """Verify and read a signed head. Raises LogError."""
    try:
        message = cose.verify1(data, key)
        payload = cbor.decode(message.payload)
    except (cose.CoseError, cbor.CborError) as error:
        raise LogError(f"tree head: {error}") from error
    if message.protected.get(cose.HEADER_CONTENT_TYPE) != HEAD_TYPE:
        raise LogError("tree head: signed, but as something else")
    fields = Fields(payload, "tree head", LogError)
    head = Head(
        size=fields.uint(HEAD_SIZE, "size", 1 << 62),
        root=fields.data(HEAD_ROOT, "root", merkle.HASH_BYTES),
        time=fields.uint(HEAD_TIME, "time", 1 << 53),
    )
    fields.end()
    return head


def write_proof(proof: Inclusion | Consistency) -> bytes:
    """The bytes of a proof file."""
    if isinstance(proof, Inclusion):
        return cbor.encode(
            {
                "entry": proof.entry,
                "number": proof.number,
                "head": proof.head,
                "path": list(proof.path),
            }
        )
    return cbor.encode({"older": proof.older, "newer": proof.newer, "path": list(proof.path)})


def read_proof(data: bytes) -> Inclusion | Consistency:
    """Read a proof file, not verified yet. Raises LogError."""
    try:
        value = cbor.decode(data, limit=MAX_PROOF)
    except cbor.CborError as error:
        raise LogError(f"proof: {error}") from error
    fields = Fields(value, "proof", LogError)
    path = fields.take("path", "path")
    if not isinstance(path, list) or len(path) > MAX_PATH:
        raise LogError(f"proof: the path is no list of at most {MAX_PATH} hashes")
    if not all(isinstance(each, bytes) and len(each) == merkle.HASH_BYTES for each in path):
        raise LogError("proof: the path has something else than hashes")
    proof: Inclusion | Consistency
    if fields.has("entry"):
        entry, number = fields.data("entry", "entry"), fields.uint("number", "number", 1 << 62)
        proof = Inclusion(entry, number, fields.data("head", "head"), tuple(path))
    else:
        older, newer = fields.data("older", "older"), fields.data("newer", "newer")
        proof = Consistency(older, newer, tuple(path))
    fields.end()
    return proof


def check(proof: Inclusion | Consistency, key: p256.PublicKey) -> Head:
    """Verify a proof under the log's key. Returns its newest head. Raises LogError."""
    if isinstance(proof, Inclusion):
        head = read_head(proof.head, key)
        leaf = merkle.leaf_hash(proof.entry)
        if not merkle.includes(leaf, proof.number, head.size, proof.path, head.root):
            raise LogError("proof: this entry is not under this head")
        return head
    before, after = read_head(proof.older, key), read_head(proof.newer, key)
    if not merkle.consistent(before.size, before.root, after.size, after.root, proof.path):
        raise LogError("proof: the log was rewritten: the newer one does not begin with the older")
    return after
