# SPDX-License-Identifier: Apache-2.0
"""How often tests cut the power, by scenario: a run prints it at its end, and the total."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TypeAlias

import pytest

# Says how many times a test cut the power in a scenario, and all went on well.
PowerCuts: TypeAlias = Callable[[str, int], None]
_NAME = "power cuts: "


@pytest.fixture
def power_cuts(record_property: Callable[[str, object], None]) -> PowerCuts:
    """For the total, whichever worker runs the test."""
    return lambda scenario, made: record_property(_NAME + scenario, made)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Of the tests that passed."""
    made: Counter[str] = Counter()
    for report in terminalreporter.stats.get("passed", ()):
        for name, value in report.user_properties:
            if name.startswith(_NAME) and isinstance(value, int):
                made[name.removeprefix(_NAME)] += value
    if made:
        terminalreporter.section("power cuts survived")
        for scenario, count in sorted(made.items()):
            terminalreporter.write_line(f"{count:7,}  {scenario}")
        terminalreporter.write_line(f"{made.total():7,}  in all")
