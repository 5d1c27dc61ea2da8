# SPDX-License-Identifier: Apache-2.0
"""Made appliances and traces: any labels, channels, workers, gates; mostly calls that fit."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hypothesis import strategies as st

from enclaves.graph import Life
from enclaves.labels import Label, leaked, unvouched
from enclaves.monitor_model import Monitor, Status
from enclaves.monitor_system import Channel, Gate, Restart, System, Task, Way
from tests.oracle.machine import SINK, TAG_NUMBERS, Operation
from tests.oracle.operations import (
    ACCOUNT,
    ANSWER,
    CALL,
    DROPPED,
    EXIT,
    FAULT,
    NO_REPLY,
    PAUSE,
    RECEIVE,
    REPLY,
    SEND,
    WAIT,
    perform,
)

BACKOFF_MS = 7
STEP_US = 4_000  # about what a step takes
US_PER_MS = 1_000
_NONE: Label = frozenset()
_LABELS = [
    _NONE,
    frozenset({"low"}),
    frozenset({"far"}),
    frozenset({"top", "next"}),
    frozenset({"low", "far"}),
    frozenset(TAG_NUMBERS),
]
# A system takes its labels from one of these: were all labels equally likely, next to nothing
# could flow.
_PALETTES = [[_NONE], [_NONE, _NONE, frozenset({"low"})], [_NONE, *_LABELS], [_NONE] * 6 + _LABELS]
_SORTS = [*["use"] * 16, "pause", "end", "account"]


@dataclass(frozen=True, slots=True)
class Case:
    """One appliance, legal or not, and what its enclaves do."""

    system: System
    operations: tuple[Operation, ...]

    def __repr__(self) -> str:
        lines = [
            repr(row) for row in (*self.system.tasks, *self.system.channels, *self.system.gates)
        ]
        lines += [repr(operation) for operation in self.operations]
        return "Case(\n  " + "\n  ".join(lines) + "\n)"


@st.composite
def systems(draw: st.DrawFn) -> System:
    """Two to six tasks and a sink, three to fourteen channels, up to three gates."""
    tasks: list[Task] = []
    labels = st.sampled_from(draw(st.sampled_from(_PALETTES)))
    integrities = st.sampled_from(draw(st.sampled_from(_PALETTES)))
    for _ in range(draw(st.integers(2, 4))):
        number = len(tasks)
        lives = [Life.ALWAYS, Life.ALWAYS, Life.WORKER, Life.SUMMONED]
        life = draw(st.sampled_from(lives)) if number else Life.ALWAYS
        roles = draw(st.integers(1, 3)) if life is not Life.ALWAYS else 1
        restart = draw(st.sampled_from([*[Restart.ON_FAULT] * 4, Restart.NEVER, Restart.ALWAYS]))
        for role in range(min(roles, 6 - number)):
            secrecy, integrity = draw(labels), draw(integrities)
            body = f"e{number}"
            tasks.append(
                Task(
                    f"e{number + role}",
                    secrecy,
                    integrity,
                    life=life,
                    body=body,
                    restart=restart,
                    backoff_ms=BACKOFF_MS,
                )
            )
        if len(tasks) >= 6:
            break
    names = [task.name for task in tasks]
    gates = tuple(draw(_gates(n, names)) for n in range(draw(st.integers(0, 3))))
    channels = tuple(draw(_channels(n, names, gates)) for n in range(draw(st.integers(2, 12))))
    sink = Task(SINK, draw(labels), sink=True)
    return System((*tasks, sink), channels, gates)


@st.composite
def _gates(draw: st.DrawFn, number: int, names: list[str]) -> Gate:
    every = frozenset(TAG_NUMBERS)
    return Gate(
        name=f"g{number}",
        task=draw(st.sampled_from(names)),
        releases=draw(st.sampled_from([every, every, *_LABELS])),
        vouches=draw(st.sampled_from([every, every, *_LABELS])),
        max_bytes=draw(st.integers(1, 16)),
        budget=draw(st.integers(0, 3)),
        window_s=1,
    )


@st.composite
def _channels(draw: st.DrawFn, number: int, names: list[str], gates: tuple[Gate, ...]) -> Channel:
    kind = draw(st.sampled_from([Way.SEND, Way.EMIT, Way.CALL, Way.CALL, Way.EMIT, Way.FAULTS]))
    gate = draw(st.sampled_from([None, None, *gates]))
    # Mostly the gate's own enclave; now and then one that has no business with it.
    of_gate = [gate.task] * 4 if gate else []
    source = draw(st.sampled_from([*of_gate, *names]))
    least = draw(st.integers(0, 3))
    report = kind is Way.FAULTS
    target = draw(st.sampled_from([*names, *names, SINK] if not report else names))
    return Channel(
        name=f"c{number}",
        source=source,
        target=target,
        min_size=16 if report else least,
        max_size=16 if report else least + draw(st.integers(1, 9)),
        depth=draw(st.integers(1, 3)),
        gate=gate.name if gate else None,
        kind=kind,
        reply_max=draw(st.integers(1, 9)) if kind is Way.CALL else 0,
    )


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A system and up to 40 steps."""
    return draw(_traces(draw(systems())))


@st.composite
def conversations(draw: st.DrawFn) -> Case:
    """Two who call and one that answers both, with lengths about what fits: what `cases` has
    seldom, for three have to do the right thing one after the other."""
    callers, server = ("e0", "e1"), "e2"
    channels = tuple(
        Channel(f"c{n}", name, server, 0, 4, 1, kind=Way.CALL, reply_max=draw(st.integers(1, 9)))
        for n, name in enumerate(callers)
    )
    tasks = (*(Task(name) for name in (*callers, server)), Task(SINK, sink=True))
    slack = st.sampled_from([0, 0, -1, 1])
    operations = []
    for _ in range(draw(st.integers(3, 12))):
        number = draw(st.integers(0, 1))
        around = channels[number].reply_max + draw(slack)
        kind = draw(st.sampled_from([CALL, CALL, RECEIVE, ANSWER, REPLY, REPLY]))
        match kind:
            case x if x == CALL:
                length = draw(st.integers(0, 4))
                operations.append(Operation(CALL, number, number, length, around))
            case x if x == RECEIVE:
                operations.append(Operation(RECEIVE, 2, number, capacity=4))
            case x if x == ANSWER:
                reply = draw(st.sampled_from([NO_REPLY, around]))
                operations.append(Operation(ANSWER, 2, number, reply, 4))
            case _:
                operations.append(Operation(REPLY, 2, number, around))
    return Case(System(tasks, channels), tuple(operations))


@st.composite
def _traces(draw: st.DrawFn, system: System) -> Case:
    operations: list[Operation] = []
    # Who can do anything at all is known from the model, so that traces are not full of the dead.
    model, now_us = Monitor(system), 0
    enclaves = [task.name for task in system.tasks if not task.sink]
    for number in range(draw(st.sampled_from([6, 12, 24, 40]))):
        for name, at in list(model.due()):
            if at <= now_us:
                model.restart(name, now_us)
        ready = [name for name in enclaves if model.status(name) is Status.READY]
        if not ready and not list(model.due()):
            break  # everybody has stopped, or waits for somebody who has
        operation = (
            draw(_operations(system, model, ready)) if ready else Operation(PAUSE, length=30)
        )
        operations.append(operation)
        now_us += STEP_US
        if operation.kind == PAUSE:
            now_us += operation.length * US_PER_MS
        elif enclaves[operation.task] in ready:
            perform(model, enclaves[operation.task], number, operation, now_us)
    return Case(system, tuple(operations))


@st.composite
def legal_cases(draw: st.DrawFn, levels: Label | None = None) -> Case:
    """As `cases`, with what the build would refuse left out.

    With `levels`, the label of an observer: no worker serves both what it covers and what it
    does not (one role has to wait for the other, which is documented), and what it does not cover
    is sent to the sink through gates alone (a device's interrupts take time).
    """
    return draw(_traces(_legal(draw(systems()), levels)))


def _legal(system: System, levels: Label | None) -> System:
    tasks = list(system.tasks)
    if levels is not None:
        first = {}
        for n, task in enumerate(tasks):
            lead = first.setdefault(task.body or task.name, task)
            if (task.secrecy <= levels) != (lead.secrecy <= levels):
                tasks[n] = replace(task, secrecy=lead.secrecy)
    labels = {task.name: task for task in tasks}
    gates = {gate.name: gate for gate in system.gates}
    channels = []
    for channel in system.channels:
        source, target = labels[channel.source], labels[channel.target]
        gate = gates[channel.gate] if channel.gate else None
        if gate is not None and (gate.task != source.name or channel.kind is Way.FAULTS):
            continue
        releases, vouches = (gate.releases, gate.vouches) if gate else (_NONE, _NONE)
        if leaked(source.secrecy, target.secrecy, releases) or source is target:
            continue
        if not target.sink and unvouched(source.integrity, target.integrity, vouches):
            continue
        if target.sink and levels is not None and gate is None and not source.secrecy <= levels:
            continue
        kind = channel.kind
        back = target.secrecy <= source.secrecy
        if kind is Way.CALL and (
            gate or target.sink or not back or unvouched(target.integrity, source.integrity)
        ):
            kind = Way.EMIT
        if kind is Way.SEND and not back:
            kind = Way.EMIT
        reply = channel.reply_max if kind is Way.CALL else 0
        channels.append(replace(channel, name=f"c{len(channels)}", kind=kind, reply_max=reply))
    if not channels:
        lead = tasks[0].name
        channels.append(Channel("c0", lead, lead, 0, 4, 1))
    return System(tuple(tasks), tuple(channels), system.gates)


@st.composite
def _operations(  # noqa: PLR0911, PLR0912 - one return a kind
    draw: st.DrawFn, system: System, model: Monitor, ready: list[str]
) -> Operation:
    enclaves = [task.name for task in system.tasks if not task.sink]
    special = draw(st.sampled_from(_SORTS))
    if special == "pause":
        return Operation(PAUSE, length=draw(st.sampled_from([30, 30, 30, 30, 30, 1100])))
    if special == "end":
        kind = draw(st.sampled_from([FAULT, EXIT]))
        return Operation(kind, enclaves.index(draw(st.sampled_from(ready))))
    if special == "account":
        who = enclaves.index(draw(st.sampled_from(ready)))
        return Operation(ACCOUNT, who, draw(st.integers(0, len(enclaves) - 1)))
    busy = [name for name in ready if model.has_served(name)]
    if busy and draw(st.sampled_from([False, False, False, True])):
        return Operation(FAULT, enclaves.index(draw(st.sampled_from(busy))))
    readable = {n for name in ready for n in model.readable(name)}
    ends = [
        (n, sends)
        for n, channel in enumerate(system.channels)
        for sends in (True, False)
        if (channel.source if sends else channel.target) in ready
        for _ in range(3 if sends or n in readable or channel.kind is Way.CALL else 1)
    ]
    if not ends:
        return Operation(PAUSE, length=30)
    number, sends = draw(st.sampled_from(ends))
    channel = system.channels[number]
    wrong = draw(st.sampled_from([False] * 24 + [True]))
    end = channel.source if sends else channel.target
    task = enclaves.index(draw(st.sampled_from(ready)) if wrong else end)
    if draw(st.sampled_from([False] * 30 + [True])):
        number = draw(st.sampled_from([len(system.channels), 31, 99]))
    slack = draw(st.sampled_from([0, 0, 0, 1, -1]))
    if sends:
        length = max(0, draw(st.integers(channel.min_size, channel.max_size)) + slack)
        if channel.kind is Way.CALL:
            capacity = max(0, channel.reply_max + slack)
            return Operation(CALL, task, number, length, capacity)
        return Operation(SEND, task, number, length)
    capacity = max(0, channel.max_size + slack)
    # At the edge of what the channel allows, or of what the caller has room for.
    largest = draw(st.sampled_from([channel.reply_max, model.room_for_reply(number)]))
    reply = max(0, largest + draw(st.sampled_from([0, -1, -1, 1])))
    kinds = [RECEIVE, RECEIVE, WAIT, DROPPED]
    if channel.kind is Way.CALL or wrong:
        kinds = [RECEIVE, REPLY, ANSWER, WAIT]
    match draw(st.sampled_from(kinds)):
        case 2:  # RECEIVE
            return Operation(RECEIVE, task, number, capacity=capacity)
        case 3:  # WAIT
            mine = {n for n, c in enumerate(system.channels) if c.target == enclaves[task]}
            mask = sum(1 << n for n in mine) if draw(st.booleans()) else 1 << number % 32
            return Operation(WAIT, task, capacity=draw(st.sampled_from([0, 1])), mask=mask)
        case 5:  # REPLY
            return Operation(REPLY, task, number, reply)
        case 6:  # ANSWER
            length = draw(st.sampled_from([NO_REPLY, reply]))
            return Operation(ANSWER, task, number, length, capacity)
    return Operation(DROPPED, task, number)
