# SPDX-License-Identifier: Apache-2.0
"""The monitor on the emulator against the executable reference model: made appliances, made traces.

Every answer, every byte, every entry of the log, every life, fault and restart must agree, step by
step, and what has left by the sink at the end. (tests/monitor/test_reference_model.py takes the
same way through the real tables.c.)
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, seed, settings

from enclaves.graph import Life
from enclaves.monitor_system import Channel, Restart, System, Task
from tests.oracle.cases import Case, cases, conversations
from tests.oracle.compare import differences
from tests.oracle.machine import SINK, Operation, OracleBoard, build
from tests.oracle.operations import EXIT, PAUSE, RECEIVE, SEND
from tests.qemu import needs_qemu

pytestmark = needs_qemu


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OracleBoard]:
    directory = tmp_path_factory.mktemp("oracle")
    with OracleBoard(build(directory), directory) as running:
        yield running


def agree(board: OracleBoard, case: Case) -> None:
    assert not differences(case, board.run(case.system, case.operations))


@pytest.mark.parametrize("life", [Life.SUMMONED, Life.WORKER])
def test_a_worker_that_takes_nothing_waits_longer_each_time_and_loses_no_message(
    board: OracleBoard, life: Life
) -> None:
    worker = Task("e1", life=life, restart=Restart.NEVER, backoff_ms=20)
    system = System(
        tasks=(Task("e0"), worker, Task(SINK, sink=True)),
        channels=(Channel("c0", "e0", "e1", 0, 16, 2),),
    )
    leaves = Operation(EXIT, 1)
    operations = (
        Operation(SEND, 0, 0, 4, salt=9),
        leaves,
        leaves,  # it is not there
        Operation(PAUSE, length=30),
        leaves,
        Operation(PAUSE, length=20),
        leaves,  # nor now: it waits for twice as long
        Operation(PAUSE, length=40),
        Operation(RECEIVE, 1, 0, capacity=16),
    )
    case = Case(system, operations)
    seen = board.run(system, operations)
    assert not differences(case, seen)
    there = [seen.steps[n].taken for n, o in enumerate(operations) if o.kind != PAUSE]
    assert there == [True, True, False, True, False, True]
    assert [step.restarts[1] for step in seen.steps] == [0, 1, 1, 1, 2, 2, 2, 2, 2]
    assert seen.results[-1].data[:4] == bytes(range(9, 13))


_LARGE = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


@settings(max_examples=500, deadline=None, suppress_health_check=_LARGE)
@given(case=cases())
def test_monitor_does_what_the_model_does_in_500_appliances(board: OracleBoard, case: Case) -> None:
    agree(board, case)


@settings(max_examples=100, deadline=None, suppress_health_check=_LARGE)
@given(case=conversations())
def test_monitor_does_what_the_model_does_in_100_conversations(
    board: OracleBoard, case: Case
) -> None:
    agree(board, case)


# Each chunk is a search of its own, the same in every run: a disagreement names its chunk, and
# several hosts can share the work (`-k chunk7`).
CHUNKS, CHUNK_SIZE = 40, 250


@pytest.mark.all
@pytest.mark.parametrize("chunk", range(CHUNKS), ids=lambda chunk: f"chunk{chunk}")
def test_monitor_does_what_the_model_does_in_10_000_appliances(
    board: OracleBoard, chunk: int
) -> None:
    agreed = 0

    @seed(chunk)
    @settings(max_examples=CHUNK_SIZE, deadline=None, database=None, suppress_health_check=_LARGE)
    @given(case=cases())
    def search(case: Case) -> None:
        nonlocal agreed
        agree(board, case)
        agreed += 1

    search()
    assert agreed >= CHUNK_SIZE
