# SPDX-License-Identifier: Apache-2.0
"""Budgets: how much may cross a gate, how often."""

from __future__ import annotations

import re
from dataclasses import dataclass

UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800}
MAX_MESSAGES = 1_000_000
MAX_BYTES = 4096
_RATE = re.compile(r"([0-9]{1,7})/(second|minute|hour|day|week)")
_TIMES = {1: "once", 2: "twice"}


@dataclass(frozen=True, slots=True)
class Budget:
    """At most `messages` of at most `size` bytes each, in every window of `window_s` seconds."""

    messages: int
    window_s: int
    size: int

    @property
    def rate(self) -> str:
        """As the manifest writes it: `1/week`."""
        return f"{self.messages}/{_unit(self.window_s)}"

    def words(self) -> str:
        """As a person says it: `at most 16 bytes once a week`."""
        times = _TIMES.get(self.messages, f"{self.messages} times")
        unit = _unit(self.window_s)
        article = "an" if unit == "hour" else "a"
        return f"at most {self.size} byte{'' if self.size == 1 else 's'} {times} {article} {unit}"

    def covers(self, other: Budget) -> bool:
        """Whether whoever was granted this budget may use `other`: nothing more, nothing oftener.

        The windows must be the same: two budgets with different windows do not compare.
        """
        return (
            other.window_s == self.window_s
            and other.messages <= self.messages
            and other.size <= self.size
        )


def parse_rate(text: str) -> tuple[int, int]:
    """`"1/day"` as (messages, seconds). Raises ValueError with what it should look like."""
    match = _RATE.fullmatch(text.replace(" ", ""))
    if match is None or not 1 <= int(match[1]) <= MAX_MESSAGES:
        raise ValueError(f"{text!r} is not a rate such as 1/day")
    return int(match[1]), UNITS[match[2]]


def _unit(window_s: int) -> str:
    for unit, seconds in UNITS.items():
        if seconds == window_s:
            return unit
    return f"{window_s} s"
