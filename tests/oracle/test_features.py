# SPDX-License-Identifier: Apache-2.0
"""A monitor without a feature is smaller, and does everything else as the reference model does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, seed, settings

from enclaves.graph import Life
from enclaves.monitor_system import Channel, System, Task, Way
from firmware.planning.monitor_features import EVERYTHING, HEADER, Feature, constants, image_config
from tests.oracle.cases import Case, cases
from tests.oracle.compare import differences
from tests.oracle.machine import SINK, Operation, OracleBoard, build
from tests.oracle.operations import ACCOUNT, ANSWER, CALL, DROPPED, PAUSE, RECEIVE, REPLY, SEND
from tests.qemu import needs_qemu

pytestmark = needs_qemu

EXAMPLES = 25
CASES = EVERYTHING - {
    Feature.DEVICES,
    Feature.SETTINGS,
    Feature.PAIRWISE,
}  # what the made appliances have between them
_LARGE = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


def _channels(system: System, change: Callable[[Channel], Channel]) -> System:
    return replace(system, channels=tuple(map(change, system.channels)))


def _tasks(system: System, change: Callable[[Task], Task]) -> System:
    return replace(system, tasks=tuple(map(change, system.tasks)))


def _no_way(system: System, way: Way) -> System:
    def change(c: Channel) -> Channel:
        return replace(c, kind=Way.SEND, reply_max=0) if c.kind is way else c

    return _channels(system, change)


def _no_gates(system: System) -> System:
    return replace(_channels(system, lambda c: replace(c, gate=None)), gates=())


def _no_sinks(system: System) -> System:
    sinks = {task.name for task in system.tasks if task.sink}
    return _channels(system, lambda c: replace(c, target=c.source) if c.target in sinks else c)


def _no_workers(system: System) -> System:
    return _tasks(system, lambda t: replace(t, life=Life.ALWAYS, body=""))


def _not_summoned(system: System) -> System:
    return _tasks(system, lambda t: replace(t, life=Life.WORKER) if t.life is Life.SUMMONED else t)


LESS: dict[Feature, Callable[[System], System]] = {
    Feature.CHANNELS: lambda system: replace(_no_gates(system), channels=()),
    Feature.SINKS: _no_sinks,
    Feature.EMIT: lambda system: _no_way(system, Way.EMIT),
    Feature.CALLS: lambda system: _no_way(system, Way.CALL),
    Feature.GATES: _no_gates,
    Feature.REPORTS: lambda system: _no_way(system, Way.FAULTS),
    Feature.WORKERS: _no_workers,
    Feature.SUMMONED: _not_summoned,
    Feature.SLICES: lambda system: system,  # none of the made ones has any
}
_CALLS = {
    Feature.CHANNELS: (SEND, RECEIVE, DROPPED, CALL, REPLY, ANSWER),
    Feature.CALLS: (CALL, REPLY, ANSWER),
}


def less(case: Case, feature: Feature) -> Case:
    """The case without the feature; who would have made one of its calls does nothing."""
    gone = _CALLS.get(feature, ())
    operations = tuple(
        Operation(PAUSE, length=1) if operation.kind in gone else operation
        for operation in case.operations
    )
    return Case(LESS[feature](case.system), operations)


def code_size(directory: Path, features: frozenset[Feature]) -> tuple[OracleBoard, int]:
    """The oracle's board with that monitor, and how many bytes it has in flash."""
    directory.mkdir()
    (directory / HEADER).write_text(image_config(constants(features, 2048)), encoding="utf-8")
    image = build(directory)
    return OracleBoard(image, directory), len(image.body)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> int:
    """Bytes of the monitor that has everything."""
    return code_size(tmp_path_factory.mktemp("whole") / "image", CASES)[1]


@pytest.mark.parametrize("feature", sorted(CASES))
def test_without_a_feature_it_is_smaller_and_the_rest_is_as_it_was(
    feature: Feature, whole: int, tmp_path: Path
) -> None:
    board, size = code_size(tmp_path / "image", CASES - {feature})
    print(f"without {feature}: {size - whole} bytes")
    assert size < whole

    @seed(8)
    @settings(max_examples=EXAMPLES, database=None, suppress_health_check=_LARGE)
    @given(case=cases())
    def search(case: Case) -> None:
        changed = less(case, feature)
        assert not differences(changed, board.run(changed.system, changed.operations))

    with board:
        search()


@pytest.fixture(scope="module")
def barest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OracleBoard]:
    """A monitor with nothing that can be left out."""
    board, _ = code_size(tmp_path_factory.mktemp("barest") / "image", frozenset())
    with board:
        yield board


@pytest.mark.parametrize("kind", sorted({kind for kinds in _CALLS.values() for kind in kinds}))
def test_who_makes_a_call_that_the_monitor_lacks_faults_alone(
    barest: OracleBoard, kind: int
) -> None:
    """Its mask allows the call here, as no image's would (tests/firmware/test_plan.py)."""
    system = System((Task("e0"), Task("e1"), Task(SINK, sink=True)), ())
    attack = Operation(kind, 0, length=4, capacity=4)
    seen = barest.run(system, (Operation(ACCOUNT, 1, 1), attack, Operation(ACCOUNT, 1, 1)))
    assert seen.finished
    assert seen.steps[1].faults[:2] == (1, 0)
    assert "fault e0 syscall" in seen.steps[1].log
    assert (seen.results[2].step, seen.results[2].value) == (2, 0)
    assert seen.steps[2].lives[1] == seen.steps[0].lives[1]
