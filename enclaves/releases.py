# SPDX-License-Identifier: Apache-2.0
"""Where data may leave an enclave through its gates: what the taint check finds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

UNKNOWN = "?"  # an input or gate whose name is not a constant


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """An expression: its module, its first line, its text on one line."""

    module: str
    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Release:
    """One place where data may leave through `gate`, and what may be in it.

    `raw` and `computed` name inputs; `reaches` has every expression whose value may become a part
    of what is released, in the order of the source.
    """

    gate: str
    place: Place
    raw: tuple[str, ...]
    computed: tuple[str, ...]
    reaches: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class Privileged:
    """An enclave that holds a gate: its lines of code are trusted. `lines` by module."""

    enclave: str
    gates: tuple[str, ...]
    lines: Mapping[str, int]
    releases: tuple[Release, ...]
