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

from tests.oracle.cases import Case, cases
from tests.oracle.compare import differences
from tests.oracle.machine import OracleBoard, build
from tests.qemu import needs_qemu

pytestmark = needs_qemu


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OracleBoard]:
    directory = tmp_path_factory.mktemp("oracle")
    with OracleBoard(build(directory), directory) as running:
        yield running


def agree(board: OracleBoard, case: Case) -> None:
    assert not differences(case, board.run(case.system, case.operations))


_LARGE = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


@settings(max_examples=500, deadline=None, suppress_health_check=_LARGE)
@given(case=cases())
def test_monitor_does_what_the_model_does_in_500_appliances(board: OracleBoard, case: Case) -> None:
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
