# SPDX-License-Identifier: Apache-2.0
"""A case that tells a changed monitor from the real one by the model, found and made short."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy

from tests.oracle.cases import Case, cases, conversations
from tests.oracle.compare import differences
from tests.oracle.machine import HungError, Operation, OracleBoard

_ATTEMPTS = 80
_CONVERSATIONS = 300


class _FoundError(Exception):
    pass


def difference(board: OracleBoard, case: Case) -> str | None:
    """What is different first, None if nothing is."""
    try:
        found = differences(case, board.run(case.system, case.operations))
    except HungError:
        return "the board does not come to the end"
    return found[0] if found else None


def find(board: OracleBoard, genuine: OracleBoard, examples: int) -> tuple[Case, str] | None:
    """The first made case that `board` does otherwise, shrunk; None if all agree: some
    conversations, then `examples` appliances of any kind.

    What the `genuine` monitor does otherwise too is no finding: the harness has a mistake then. Nor
    is what `board` does once and not again: a busy host may have let it wait too long.
    """
    found: list[Case] = []

    def differs(case: Case) -> bool:
        twice = all(difference(board, case) is not None for _ in range(2))
        return twice and difference(genuine, case) is None

    def search(made: SearchStrategy[Case], count: int) -> None:
        @seed(0)
        @settings(
            max_examples=count,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=made)
        def one_by_one(case: Case) -> None:
            if differs(case):
                found.append(case)
                raise _FoundError

        one_by_one()

    with suppress(_FoundError):
        search(conversations(), _CONVERSATIONS)
        search(cases(), examples)
    if not found:
        return None
    short = shrink(found[-1], differs)
    why = difference(board, short)
    assert why is not None, f"differs now and then: {short}"
    return short, why


def shrink(case: Case, differs: Callable[[Case], bool]) -> Case:
    """Leave out operations, the largest pieces first, as long as it still differs."""
    attempts, size = 0, max(1, len(case.operations) // 2)
    while size and attempts < _ATTEMPTS:
        at, changed = 0, False
        while at < len(case.operations) and attempts < _ATTEMPTS:
            kept: tuple[Operation, ...] = case.operations[:at] + case.operations[at + size :]
            attempts += 1
            if kept and differs(Case(case.system, kept)):
                case, changed = Case(case.system, kept), True
            else:
                at += size
        if not changed or size > 1:
            size //= 2
    return case
