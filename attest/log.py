# SPDX-License-Identifier: Apache-2.0
"""The transparency log: released bundles and verdicts, appended for ever, provable to anybody.

Its documents; `attest.log_store` keeps it. Whoever appends signs a head over size and root; with a
proof (`attest.merkle`) anybody can check that an entry is in it, and that a later log begins with
the earlier one. So a release that was shown only to some, or taken back, and a verdict that was
changed afterwards, do not stay unseen: their head fits no other.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from attest import merkle, p256
from attest.corim import ReferenceValues
from attest.errors import LogError
from attest.maps import Fields
from enclaves import cbor, cose

HEAD_TYPE = "application/vnd.coffret.tree-head+cbor"
MAX_ENTRY = 64 * 1024
MAX_PATH = 64  # hashes in a proof: a tree of 2^64 entries
MAX_PROOF = MAX_ENTRY + 8 * 1024

HEAD_SIZE, HEAD_ROOT, HEAD_TIME = 1, 2, 3


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


def verdict_entry(verdict: str, evidence: bytes, result: str | None, at: int) -> bytes:
    """The entry of a verdict on `evidence` (an evidence file), with its EAR, a JWT, if it has one.

    Both are named by their digests, which the nonce in them makes unguessable: whoever has one
    finds its entry, and nobody learns from the log which devices there are.
    """
    signed = {} if result is None else {"result": result_digest(result)}
    return cbor.encode(
        {
            "kind": "verdict",
            "verdict": verdict,
            "evidence": hashlib.sha256(evidence).digest(),
            "time": at,
            **signed,
        }
    )


def result_digest(result: str) -> bytes:
    """How the log names an EAR: the SHA-256 of the JWT."""
    return hashlib.sha256(result.encode("ascii")).digest()


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
