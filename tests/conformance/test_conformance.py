# SPDX-License-Identifier: Apache-2.0
"""MicroPython's own tests pass on the sealed virtual machine, specialised for them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.runner import Outcome, Result, run
from tests.conformance.suite import Case, agrees, as_logged, cases, reason_for, reasons
from tests.qemu import needs_qemu

pytestmark = needs_qemu

BATCH = 48  # an image of so many modules is well below what a link can hold
SAMPLE = 16  # every sixteenth test is in the short run


def failures(outcomes: list[Outcome]) -> list[str]:
    return [f"{o.case.name}: {o.why}" for o in outcomes if o.result is Result.FAIL]


def batches() -> list[tuple[Case, ...]]:
    every = cases()
    return [every[at : at + BATCH] for at in range(0, len(every), BATCH)]


def test_a_sample_of_the_suite_passes(tmp_path: Path) -> None:
    outcomes = list(run(cases()[::SAMPLE], tmp_path))
    assert not failures(outcomes)
    passed = sum(outcome.result is Result.PASS for outcome in outcomes)
    assert passed > len(outcomes) / 2


@pytest.mark.all
@pytest.mark.parametrize("number", range(20))
def test_the_whole_suite_passes(number: int, tmp_path: Path) -> None:
    parts = batches()
    assert len(parts) <= 20, "add numbers: a part of the suite is not run"
    if number >= len(parts):
        return
    outcomes = list(run(parts[number], tmp_path))
    assert not failures(outcomes)
    known = reasons()
    passed = [o.case for o in outcomes if o.result is Result.PASS]
    assert not [case.name for case in passed if reason_for(case, known)]


def test_every_reason_is_for_a_test_that_exists() -> None:
    every = cases()
    for pattern, reason in reasons().items():
        assert any(reason_for(case, {pattern: reason}) for case in every), pattern


def test_the_comparison_can_fail() -> None:
    assert agrees("1\n2\n", "1\n\n2\n")
    assert not agrees("1\n3\n", "1\n2\n")
    assert not agrees("1\n", "1\n2\n")
    assert agrees("a\nx\ny\nb\n", "a\n########\nb\n")
    assert not agrees("a\nx\ny\nc\n", "a\n########\nb\n")
    assert as_logged("x" * 121) == "x" * 120 + "\nx\n"
