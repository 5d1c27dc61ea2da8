# SPDX-License-Identifier: Apache-2.0
"""Merkle trees as RFC 9162 section 2.1 defines them, with SHA-256: hashes and proofs, pure.

A leaf is hashed behind 0x00 and an inner node behind 0x01, so that neither poses as the other. The
tree of n leaves splits at the largest power of two below n.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()  # section 2.1.1

Range = Callable[[int, int], bytes]
"""The root of the leaves from the first number up to, without, the second."""


def leaf_hash(data: bytes) -> bytes:
    """The hash of one entry."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def split(size: int) -> int:
    """The largest power of two below `size`, which is at least 2."""
    return 1 << (size - 1).bit_length() - 1


def root_of(leaves: Sequence[bytes]) -> bytes:
    """MTH of these leaf hashes (section 2.1.1)."""
    return EMPTY_ROOT if not leaves else range_of(lambda n: leaves[n])(0, len(leaves))


def range_of(leaf: Callable[[int], bytes]) -> Range:
    """Roots of ranges, computed from the leaves alone."""

    def root(start: int, end: int) -> bytes:
        if end - start == 1:
            return leaf(start)
        middle = start + split(end - start)
        return node_hash(root(start, middle), root(middle, end))

    return root


def inclusion_proof(number: int, size: int, root: Range) -> list[bytes]:
    """The path from leaf `number` to the root of the first `size` leaves (section 2.1.3.1)."""
    if not 0 <= number < size:
        raise ValueError(f"no leaf {number} among {size}")
    return _path(number, 0, size, root)


def _path(number: int, start: int, end: int, root: Range) -> list[bytes]:
    if end - start == 1:
        return []
    middle = start + split(end - start)
    if number < middle:
        return [*_path(number, start, middle, root), root(middle, end)]
    return [*_path(number, middle, end, root), root(start, middle)]


def consistency_proof(older: int, size: int, root: Range) -> list[bytes]:
    """That the first `older` of `size` leaves are what they were (section 2.1.4.1)."""
    if not 0 < older <= size:
        raise ValueError(f"a tree of {size} has no older one of {older}")
    return _subproof(older, 0, size, root, whole=True)


def _subproof(older: int, start: int, end: int, root: Range, *, whole: bool) -> list[bytes]:
    """SUBPROOF: `older` counts from `start`; `whole` while the verifier knows that root."""
    if older == end - start:
        return [] if whole else [root(start, end)]
    middle = start + split(end - start)
    if older <= middle - start:
        return [*_subproof(older, start, middle, root, whole=whole), root(middle, end)]
    left = _subproof(older - (middle - start), middle, end, root, whole=False)
    return [*left, root(start, middle)]


def includes(leaf: bytes, number: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether the proof leads from the leaf hash to the root (section 2.1.3.2)."""
    if not 0 <= number < size:
        return False
    at, last, found = number, size - 1, leaf
    for step in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            found = node_hash(step, found)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            found = node_hash(found, step)
        at, last = at >> 1, last >> 1
    return last == 0 and found == root


def consistent(
    older: int, older_root: bytes, size: int, root: bytes, proof: Sequence[bytes]
) -> bool:
    """Whether the tree of `size` begins with the one of `older` (section 2.1.4.2)."""
    if older == size:
        return not proof and older_root == root
    if older == 0:
        return not proof and older_root == EMPTY_ROOT
    if not 0 < older < size or not proof:
        return False
    steps = list(proof) if older & (older - 1) else [older_root, *proof]
    at, last = older - 1, size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    old = new = steps[0]
    for step in steps[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            old, new = node_hash(step, old), node_hash(step, new)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            new = node_hash(new, step)
        at, last = at >> 1, last >> 1
    return last == 0 and old == older_root and new == root
