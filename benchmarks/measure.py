# SPDX-License-Identifier: Apache-2.0
"""What a benchmark yields."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure beside the one it is to be read against, both taken in this run.

    `ratio` is value / the value of `against`.
    """

    name: str
    value: int
    unit: str
    against: str
    ratio: float

    @classmethod
    def beside(cls, name: str, value: int, unit: str, against: str, other: int) -> Measure:
        """A figure and its ratio to `other`, which `against` names."""
        return cls(name, value, unit, f"{against}: {other:,}", round(value / other, 4))
