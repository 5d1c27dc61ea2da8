# SPDX-License-Identifier: Apache-2.0
"""Labels: sets of tags, ordered by inclusion, and the rule by which data may flow.

The model is Flume's (Krohn et al., SOSP 2007, section 3): with D the tags that one side may add
and remove at will, data goes from X to Y iff S(X) - D(X) <= S(Y) + D(Y) and
I(Y) - D(Y) <= I(X) + D(X). Labels never change by themselves. `frozenset` is already the lattice:
`<=` is its order, `|` its join, `&` its meet.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

Label: TypeAlias = frozenset[str]

EMPTY: Label = frozenset()


def label(tags: Iterable[str]) -> Label:
    """The label of `tags`."""
    return frozenset(tags)


def leaked(sender: Label, receiver: Label, releases: Label = EMPTY) -> Label:
    """The secrecy tags of `sender` that `receiver` must not see; empty when the flow is legal."""
    return sender - releases - receiver


def unvouched(sender: Label, receiver: Label, vouches: Label = EMPTY) -> Label:
    """The integrity tags that `receiver` requires and `sender` lacks; empty when it is legal."""
    return receiver - vouches - sender


def mask(tags: Label, numbers: Mapping[str, int]) -> int:
    """The bit mask of a label: tag number n is bit n. Raises KeyError for an unknown tag."""
    bits = 0
    for tag in tags:
        bits |= 1 << numbers[tag]
    return bits


def from_mask(bits: int, names: tuple[str, ...]) -> Label:
    """The label of a bit mask. Raises IndexError for a bit that has no tag."""
    return frozenset(names[n] for n in range(bits.bit_length()) if bits >> n & 1)
