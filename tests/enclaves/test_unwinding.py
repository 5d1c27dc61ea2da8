# SPDX-License-Identifier: Apache-2.0
"""Noninterference of the reference model, step by step (Goguen and Meseguer's unwinding).

For every observer: whatever an enclave does that the observer's label does not cover leaves all
that the observer can see as it was (local respect), and what one of the covered does changes it in
a way that depends on nothing else (step consistency). What is excepted, and no more, is what
docs/security-model.md says: gates, which their owners granted; faults and ends, which are told to
everybody; and *when* a role of a worker is started that has roles above the observer too.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from enclaves.graph import Life
from enclaves.labels import Label
from enclaves.monitor_model import Monitor, Status
from enclaves.monitor_system import Channel, Pending, System, Task, Way
from tests.oracle.cases import Case, legal_cases
from tests.oracle.machine import SINK, TAG_NUMBERS
from tests.oracle.operations import EXIT, FAULT, PAUSE, perform

SEARCH = settings(max_examples=200, suppress_health_check=list(HealthCheck))
OBSERVERS: list[Label] = [frozenset(), frozenset({"low"}), frozenset(TAG_NUMBERS) - {"far"}]


def view(model: Monitor, observer: Label) -> dict[str, Any]:
    """All that somebody with the label `observer` could ever learn of the state by the calls that
    its enclaves can make."""
    low = {t.name for t in model.system.tasks if t.secrecy <= observer}
    mine = [n for n, c in enumerate(model.system.channels) if c.target in low]
    both = [n for n in mine if model.system.channels[n].source in low]
    return {
        "states": {t: replace(model._tasks[t]) for t in low if t in model._tasks},
        "queues": {n: tuple(model._queues.get(n, ())) for n in mine},
        "dropped": {n: model._dropped.get(n, 0) for n in mine},
        "calls": {n: repr(model._calls.get(n)) for n in both},
        "log": tuple(model.log),
        "left": tuple(model.left.get(SINK, ())) if SINK in low else (),
        "lives": {t: model.lives[t] for t in low if t in model.lives},
        "gates": {
            g.name: repr(model._gates.get(g.name)) for g in model.system.gates if g.task in low
        },
    }


def roles_kept_waiting(system: System, observer: Label) -> frozenset[str]:
    """The roles within the observer's label whose worker serves others above it too.

    One memory serves them all in turn, so that one has to wait for another is a delay which it sees
    (docs/security-model.md, "A worker of several roles").
    """
    above = {t.body for t in system.tasks if t.body and not t.secrecy <= observer}
    return frozenset(t.name for t in system.tasks if t.secrecy <= observer and t.body in above)


def differ_in_turn_only(one: dict[str, Any], two: dict[str, Any], roles: AbstractSet[str]) -> bool:
    """Whether two views differ in nothing but that some of `roles` have been started in one of them
    and sleep, as they were, in the other. Raises AssertionError if they differ otherwise."""
    for key, seen in one.items():
        if key not in ("states", "lives"):
            assert seen == two[key], key
    for name in one["states"].keys() - roles:
        assert one["states"][name] == two["states"][name], name
        assert one["lives"][name] == two["lives"][name], name
    late = False
    for name in one["states"].keys() & roles:
        pair = sorted((v["lives"][name], v["states"][name].status) for v in (one, two))
        if one["states"][name] == two["states"][name] and pair[0] == pair[1]:
            continue
        (lives, status), (more, started) = pair
        assert (status, started, more) == (Status.ASLEEP, Status.READY, lives + 1), (name, pair)
        late = True
    return late


def _goes_through_a_gate(system: System, number: int) -> bool:
    return number < len(system.channels) and system.channels[number].gate is not None


@SEARCH
@given(case=legal_cases())
def test_what_is_above_the_observer_changes_nothing_that_it_sees(case: Case) -> None:
    for observer in OBSERVERS:
        model, now_us = Monitor(case.system), 0
        waiting = roles_kept_waiting(case.system, observer)
        enclaves = [task.name for task in case.system.tasks if not task.sink]
        for number, operation in enumerate(case.operations):
            now_us += 4_000
            if operation.kind == PAUSE:
                continue
            task = enclaves[operation.task]
            if model.status(task) != "ready":
                continue
            high = not case.system.task(task).secrecy <= observer
            before = view(model, observer)
            perform(model, task, number, operation, now_us)
            told = operation.kind in (FAULT, EXIT) or _goes_through_a_gate(
                case.system, operation.channel
            )
            if high and not told:
                after = view(model, observer)
                worker = case.system.body(task)
                roles = {r for r in waiting if case.system.body(r) == worker}
                differ_in_turn_only(before, after, roles)


@SEARCH
@given(case=legal_cases())
def test_what_the_observer_does_depends_on_nothing_above_it(case: Case) -> None:
    """Two systems that the observer cannot tell apart stay so, and answer it alike: up to the step
    at which a role has to wait in one of them for a role above the observer."""
    for observer in OBSERVERS:
        enclaves = [task.name for task in case.system.tasks if not task.sink]
        one, two, now_us = Monitor(case.system), Monitor(case.system), 0
        waiting = roles_kept_waiting(case.system, observer)
        for number, operation in enumerate(case.operations):
            now_us += 4_000
            if operation.kind == PAUSE:
                continue
            task = enclaves[operation.task]
            if case.system.task(task).secrecy <= observer:
                assert one.status(task) == two.status(task)
                if one.status(task) != "ready":
                    continue
                answers = [perform(m, task, number, operation, now_us) for m in (one, two)]
                assert answers[0] == answers[1], (observer, number, operation)
            elif (
                one.status(task) == "ready"
                and operation.kind not in (FAULT, EXIT)
                and not _goes_through_a_gate(case.system, operation.channel)
            ):
                # Only in one of the two: everything above the observer differs from now on.
                perform(one, task, number, operation, now_us)
            if differ_in_turn_only(view(one, observer), view(two, observer), waiting):
                break  # what follows is that delay's


def test_a_role_that_waits_for_a_secret_one_is_excepted_and_nothing_else_is() -> None:
    """The exception by example: e1 is not started while e2, its worker's secret role, waits."""
    system = System(
        (
            Task("e0"),
            Task("e1", life=Life.WORKER, body="e1"),
            Task("e2", frozenset({"low"}), life=Life.WORKER, body="e1"),
        ),
        (
            Channel("c0", "e0", "e1", 0, 4, 1, kind=Way.EMIT),
            Channel("c1", "e0", "e2", 0, 4, 1, kind=Way.EMIT),
        ),
    )
    public = frozenset[str]()
    assert roles_kept_waiting(system, public) == {"e1"}
    assert not roles_kept_waiting(system, frozenset({"low"}))
    busy, done = Monitor(system), Monitor(system)
    for model in (busy, done):
        model.send("e0", 1, b"wake", 0)
        model.send("e0", 0, b"wait", 0)
    done.exit("e2", 0)
    assert differ_in_turn_only(view(busy, public), view(done, public), {"e1"})
    with pytest.raises(AssertionError):
        differ_in_turn_only(view(busy, public), view(done, public), set())
    done.receive("e1", 0, 4)
    with pytest.raises(AssertionError):  # a message fewer is more than a delay
        differ_in_turn_only(view(busy, public), view(done, public), {"e1"})


def test_the_view_is_not_blind() -> None:
    """A channel that tells its sender that it is full breaks the first condition."""
    system = System(
        (Task("e0"), Task("e1", frozenset({"low"}))),
        (Channel("c0", "e1", "e0", 0, 4, 1, kind=Way.EMIT),),
    )
    model = Monitor(system)
    before = view(model, frozenset())
    model._enqueue(0, b"leak")  # what the flow rule forbids
    assert view(model, frozenset()) != before
    assert Pending.WAITS is not Pending.ENDED
