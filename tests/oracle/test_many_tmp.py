# SPDX-License-Identifier: Apache-2.0
"""Two runs on the real monitor that differ only in secrets look the same to the public.

Everything that enclaves above the observer do is different in the second run: other messages, of
other lengths, on other channels, other calls, or nothing at all. (Not their faults and ends, nor
what they release by a gate, which are told to everybody: docs/security-model.md. Pairs that differ
in those are left out.) What the enclaves at the observer's label are answered, receive, log and
send out must be the same bytes; with fixed time slices, at the same instructions. Each pair is run
once (machine.py says why that is exact).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from enclaves.labels import Label
from enclaves.monitor_system import Channel, System, Task, Way
from tests.oracle.cases import Case, legal_cases
from tests.oracle.machine import FRAME_MS, SINK, Observed, Operation, OracleBoard, build
from tests.oracle.operations import ACCOUNT, EXIT, FAULT, LOG, NOTHING, PAUSE, SEND
from tests.qemu import needs_qemu

pytestmark = needs_qemu

OBSERVERS = [frozenset[str](), frozenset({"low"})]
# Each attempt is two starts of a board: what is found is told as it was found.
_NO_SHRINKING = [Phase.explicit, Phase.generate]
_LARGE = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OracleBoard]:
    directory = tmp_path_factory.mktemp("noninterference")
    with OracleBoard(build(directory, lto=True), directory, slow=True) as running:
        yield running


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Label, Case, Case]:
    """An observer and two cases that differ above it."""
    observer = draw(st.sampled_from(OBSERVERS))
    case = draw(legal_cases(levels=observer))
    other = tuple(
        draw(_another(case.system, operation))
        if _is_high(case.system, operation, observer)
        else operation
        for operation in case.operations
    )
    return observer, case, Case(case.system, other)


def _is_high(system: System, operation: Operation, observer: Label) -> bool:
    enclaves = [task for task in system.tasks if not task.sink]
    through_gate = (
        operation.kind == SEND
        and operation.channel < len(system.channels)
        and system.channels[operation.channel].gate is not None
    )
    return (
        operation.kind not in (PAUSE, FAULT, EXIT)
        and not through_gate
        and not enclaves[operation.task].secrecy <= observer
    )


@st.composite
def _another(draw: st.DrawFn, system: System, operation: Operation) -> Operation:
    """Something else by the same enclave: nothing, other data, another channel of its own."""
    if draw(st.booleans()):
        return replace(operation, kind=NOTHING)
    name = [task.name for task in system.tasks if not task.sink][operation.task]
    mine = [
        (n, channel)
        for n, channel in enumerate(system.channels)
        if channel.source == name and channel.gate is None and channel.kind in ("send", "emit")
    ]
    if not mine:
        return replace(operation, salt=77)
    number, channel = draw(st.sampled_from(mine))
    length = draw(st.integers(channel.min_size, channel.max_size))
    return Operation(SEND, operation.task, number, length, salt=draw(st.integers(1, 200)))


def public(
    case: Case, seen: Observed, observer: Label, *, timed: bool = False
) -> dict[str, object]:
    """What enclaves that the observer's label covers have seen, and what left by an open sink;
    the microseconds of an account only if `timed`.
    """
    system = case.system
    assert seen.finished
    enclaves = [task for task in system.tasks if not task.sink]
    low = [n for n, task in enumerate(enclaves) if task.secrecy <= observer]
    mine = [n for n, o in enumerate(case.operations) if o.kind != PAUSE and o.task in low]
    return {
        "results": [
            (
                n,
                seen.results[n].step,
                seen.results[n].value,
                seen.results[n].data[
                    0 if timed or case.operations[n].kind != ACCOUNT else CPU_US :
                ],
            )
            for n in mine
        ],
        "taken": [(n, seen.steps[n].taken) for n in mine],
        "log": [step.log for step in seen.steps],
        "lives": [[(s.lives[n], s.faults[n], s.restarts[n]) for n in low] for s in seen.steps],
        "left": seen.left if system.task(SINK).secrecy <= observer else b"",
    }


def told(system: System, seen: Observed, observer: Label) -> list[list[str]]:
    """What everybody is told of those above, step by step: what gates let out, by the owners'
    consent, and faults, restarts and ends. On this the two runs must agree.
    """
    ends = {
        f"{what} {task.name}"
        for task in system.tasks
        if not task.secrecy <= observer
        for what in ("fault", "restart", "stopped")
    }
    return [
        [
            line
            for line in step.log
            if "gate" in line or "released" in line or " ".join(line.split()[:2]) in ends
        ]
        for step in seen.steps
    ]


@settings(max_examples=4000, deadline=None, phases=_NO_SHRINKING, suppress_health_check=_LARGE)
@given(pair=pairs())
def test_public_output_is_the_same_in_200_appliances(
    board: OracleBoard, pair: tuple[Label, Case, Case]
) -> None:
    agree(pair, lambda case: view_of(board, case, pair[0]))


def view_of(board: OracleBoard, case: Case, observer: Label) -> dict[str, object]:
    seen = board.run(case.system, case.operations)
    return public(case, seen, observer) | {"told": told(case.system, seen, observer)}


def agree(pair: tuple[Label, Case, Case], view: Callable[[Case], dict[str, object]]) -> None:
    """Each of the two is run once: the board's time is a count of instructions."""
    first, second = view(pair[1]), view(pair[2])
    assume(first["told"] == second["told"])
    assert first == second


def timed(
    board: OracleBoard, case: Case, observer: Label, *, sliced: bool = True
) -> dict[str, object]:
    """As `public`, and the clock (finer than one instruction) before and after each public call."""
    enclaves = [task for task in case.system.tasks if not task.sink]
    slices = (SLICE_MS,) * len(enclaves) if sliced else ()
    seen = board.run(case.system, case.operations, slices)
    view = public(case, seen, observer, timed=True) | {"told": told(case.system, seen, observer)}
    low = [n for n, task in enumerate(enclaves) if task.secrecy <= observer]
    mine = [n for n, o in enumerate(case.operations) if o.kind != PAUSE and o.task in low]
    stamps = [stamp for n in mine for stamp in seen.results[n].ticks if stamp]
    return view | {
        "stamps": [stamps[0] - stamp for stamp in stamps]
    }  # from the first public call on


SLICE_MS = 3
CPU_US = 8  # bytes: struct account begins with them
assert FRAME_MS >= 4 + 6 * SLICE_MS


@pytest.mark.all
@settings(max_examples=4000, deadline=None, phases=_NO_SHRINKING, suppress_health_check=_LARGE)
@given(pair=pairs())
def test_with_fixed_slices_public_timing_is_the_same_to_the_instruction(
    board: OracleBoard, pair: tuple[Label, Case, Case]
) -> None:
    agree(pair, lambda case: timed(board, case, pair[0]))


def test_how_long_a_secret_takes_is_seen_without_slices_and_not_with_them(
    board: OracleBoard,
) -> None:
    system = System(
        tasks=(Task("e0"), Task("e1", frozenset({"far"})), Task(SINK, sink=True)),
        channels=(Channel("c0", "e0", "e1", 0, 16, 2, kind=Way.EMIT),),
    )
    send = Operation(SEND, 0, 0, 4)

    def view(lines: int, *, sliced: bool) -> dict[str, object]:
        case = Case(system, (send, Operation(LOG, 1, length=lines), send, send))
        return timed(board, case, frozenset(), sliced=sliced)

    assert view(1, sliced=True) == view(400, sliced=True)
    assert view(1, sliced=False) != view(400, sliced=False)
