# SPDX-License-Identifier: Apache-2.0
"""The open log tells of a gate only where nothing of its enclave stays labelled behind it.

A gate that vouches releases nothing, and one that releases Alice's data to who sees Bob's leaves
that labelled. Whoever reads the log would else be told, to the millisecond and as often as the
budget allows, what neither of the owners granted.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from enclaves.labels import EMPTY, Label
from enclaves.monitor_system import Channel, Gate, System, Task
from tests.oracle.machine import SINK, Observed, Operation, OracleBoard, build
from tests.oracle.operations import RECEIVE, SEND
from tests.qemu import needs_qemu

pytestmark = needs_qemu

ALICE = frozenset({"low"})
BOB = frozenset({"far"})
BUDGET = 3


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OracleBoard]:
    directory = tmp_path_factory.mktemp("told")
    with OracleBoard(build(directory), directory) as running:
        yield running


def _system(sees: Label, to: Task, *, releases: Label = EMPTY, vouches: Label = EMPTY) -> System:
    return System(
        tasks=(Task("e0", secrecy=sees), to, Task(SINK, sink=True)),
        channels=(Channel("c0", "e0", "e1", 0, 16, 8, gate="g0"),),
        gates=(Gate("g0", "e0", releases, vouches, 16, BUDGET, 60),),
    )


LABELLED = {
    "vouching only": _system(ALICE, Task("e1", ALICE, BOB), vouches=BOB),
    "Bob's stays": _system(ALICE | BOB, Task("e1", BOB), releases=ALICE),
}


def _run(board: OracleBoard, system: System, messages: int) -> Observed:
    """One message is received, so that all that were taken are seen to have been."""
    sends = (Operation(SEND, 0, 0, 4) for _ in range(messages))
    seen = board.run(system, (*sends, Operation(RECEIVE, 1, 0, capacity=16)))
    assert seen.finished
    return seen


def _log(seen: Observed) -> list[str]:
    return [line for step in seen.steps for line in step.log]  # the first says that it started


@pytest.mark.parametrize("system", LABELLED.values(), ids=LABELLED.keys())
def test_the_log_is_the_same_however_often_such_a_gate_is_used(
    board: OracleBoard, system: System
) -> None:
    for messages in (1, BUDGET, BUDGET + 1):  # the last is refused
        seen = _run(board, system, messages)
        assert seen.results[messages].value == 4, "it went through"
        assert _log(seen) == _log(_run(board, system, 0))


def test_the_log_tells_of_a_gate_behind_which_nothing_is_labelled(board: OracleBoard) -> None:
    system = _system(ALICE, Task("e1"), releases=ALICE)
    assert _log(_run(board, system, BUDGET + 2))[1:] == [
        *(f"released g0 #{number}" for number in range(1, BUDGET + 1)),
        f"gate budget used up g0 #{BUDGET + 1}",
    ]


@pytest.mark.parametrize("system", LABELLED.values(), ids=LABELLED.keys())
def test_it_would_tell_each_message_if_gates_were_not_looked_at(
    tmp_path: Path, system: System
) -> None:
    def alter(path: Path) -> str | None:
        if path.name != "gate.c":
            return None
        text = path.read_text(encoding="utf-8")
        assert text.count("if (is_told(gate)) {") == 1
        return text.replace("if (is_told(gate)) {", "if (true) {")

    with OracleBoard(build(tmp_path, alter), tmp_path) as undefended:
        log = _log(_run(undefended, system, 2))
    assert log[1:] == ["released g0 #1", "released g0 #2"]
