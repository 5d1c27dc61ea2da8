# SPDX-License-Identifier: Apache-2.0
"""Random systems of labelled enclaves, legal and not, and random calls; as model and as image."""

from __future__ import annotations

import random
from dataclasses import dataclass

import boards
from boards.memory import Region
from boards.model import Board
from boards.mpu import Access
from enclaves.labels import Label, mask
from enclaves.monitor_model import Channel, Gate, System, Task
from firmware.planning import plan as planned
from firmware.planning.plan import NO_GATE, TO_SINK, Grant, Kind, Plan, queue_bytes
from firmware.planning.syscalls import Call

PAGE = Region(base=0x2000_7000, size=0x1000)
QUEUES = 0x2000_8400
MANAGER_STATICS = Region(base=0x2003_1000, size=0x1000)
# In the first and in the second word of a label, and at the ends of both.
TAG_NUMBERS = {"low": 0, "top": 31, "next": 32, "far": 63}
_TAGS = tuple(f"t{number}" for number in range(64))
_SINK = "usb"
_ENCLAVE_CALLS = (Call.YIELD, Call.SEND, Call.RECEIVE, Call.WAIT, Call.TIME)


@dataclass(frozen=True, slots=True)
class Operation:
    """One call: a message of `length` bytes sent, or received with that capacity."""

    send: bool
    task: int
    channel: int
    length: int
    pause_ms: int


def random_system(seed: int) -> System:
    """Two to five enclaves and a sink; channels between any of them, whatever their labels say."""
    chance = random.Random(seed)
    names = [f"e{number}" for number in range(chance.randint(2, 5))]
    tasks = [Task(name, _label(chance), _label(chance)) for name in names]
    tasks.append(Task(_SINK, _label(chance), sink=True))
    gates = tuple(_gate(chance, number, names) for number in range(chance.randint(1, 4)))
    channels = tuple(_channel(chance, n, names, gates) for n in range(chance.randint(6, 24)))
    # One that is legal whatever the labels: to itself.
    own = Channel("own", "e0", "e0", min_size=1, max_size=8, depth=2)
    return System(tuple(tasks), (*channels, own), gates)


def _label(chance: random.Random) -> Label:
    return frozenset(tag for tag in TAG_NUMBERS if chance.random() < 0.3)


def _gate(chance: random.Random, number: int, names: list[str]) -> Gate:
    task = chance.choice(names)
    every = frozenset(TAG_NUMBERS)
    return Gate(
        name=f"{task}.g{number}",
        task=task,
        releases=every if chance.random() < 0.5 else _label(chance),
        vouches=every if chance.random() < 0.5 else _label(chance),
        max_bytes=chance.randint(1, 40),
        budget=chance.randint(0, 4),
        window_s=chance.randint(1, 3),
    )


def _channel(
    chance: random.Random, number: int, names: list[str], gates: tuple[Gate, ...]
) -> Channel:
    gate = chance.choice(gates) if chance.random() < 0.6 else None
    # Mostly the gate's own enclave; now and then one that has no business with it.
    source = gate.task if gate and chance.random() < 0.8 else chance.choice(names)
    largest = chance.randint(1, 40)
    return Channel(
        name=f"c{number}",
        source=source,
        target=chance.choice([*names, _SINK]),
        min_size=chance.randint(0, largest),
        max_size=largest,
        depth=chance.randint(1, 4),
        gate=gate.name if gate else None,
    )


def random_operations(seed: int, system: System, count: int) -> tuple[Operation, ...]:
    """Calls that mostly fit their channel, and some that do not."""
    chance = random.Random(seed)
    enclaves = [task.name for task in system.tasks if not task.sink]
    return tuple(_operation(chance, system, enclaves) for _ in range(count))


def _operation(chance: random.Random, system: System, enclaves: list[str]) -> Operation:
    number = chance.randrange(len(system.channels))
    channel = system.channels[number]
    send = chance.random() < 0.7
    end = channel.source if send or channel.target == _SINK else channel.target
    task = end if chance.random() < 0.95 else chance.choice(enclaves)
    fits = chance.randint(channel.min_size, channel.max_size)
    return Operation(
        send=send,
        task=enclaves.index(task),
        channel=number if chance.random() < 0.98 else chance.randint(0, 99),
        length=fits if chance.random() < 0.8 else chance.randint(0, 48),
        pause_ms=chance.choice([0, 0, 0, 5, 300]),
    )


def operations_c(operations: tuple[Operation, ...]) -> str:
    """The sequence for program/puppet.c."""
    rows = [
        f"    {{{'OPERATION_SEND' if o.send else 'OPERATION_RECEIVE'}, {o.task}, {o.channel}, "
        f"{o.length}, {o.pause_ms}}},"
        for o in operations
    ]
    head = ['#include "puppet.h"', "const struct operation operations[] = {"]
    tail = ["};", f"const uint32_t operation_count = {len(operations)}u;", ""]
    return "\n".join([*head, *rows, *tail])


def plan_of(system: System) -> Plan:
    """The plan that the build would make of it, had anything so wrong ever passed the proof."""
    board = boards.load("mps2-an385")
    enclaves = [task for task in system.tasks if not task.sink]
    numbers = {task.name: number for number, task in enumerate(enclaves)}
    gates = {gate.name: number for number, gate in enumerate(system.gates)}
    return Plan(
        appliance="random",
        version="1.0.0",
        security_counter=1,
        revokes_below=0,
        board=board,
        tags=_TAGS,
        tasks=_tasks(board, enclaves),
        channels=_channels(system, numbers, gates),
        gates=tuple(
            planned.Gate(
                number=number,
                name=gate.name,
                task=numbers[gate.task],
                releases=mask(gate.releases, TAG_NUMBERS),
                vouches=mask(gate.vouches, TAG_NUMBERS),
                max_bytes=gate.max_bytes,
                budget=gate.budget,
                window_s=gate.window_s,
            )
            for number, gate in enumerate(system.gates)
        ),
        sinks=(planned.Sink(0, _SINK, 0, mask(system.task(_SINK).secrecy, TAG_NUMBERS)),),
        devices=(),
        monitor=Region(base=0x2000_0000, size=0x7000),
        main_stack=0x800,
        queues=Region(base=QUEUES, size=0x7000),
        window=Region(base=0x2000_8000, size=0x400),
        free_ram=0,
    )


def _tasks(board: Board, enclaves: list[Task]) -> tuple[planned.Task, ...]:
    found = []
    for number, task in enumerate(enclaves):
        memory = Region(base=0x2001_0000 + number * 0x1000, size=0x1000)
        found.append(_task(number, task, memory, "vm_main", _ENCLAVE_CALLS))
    services = (("manager", Region(base=0x2003_0000, size=0x2000)),)
    attester = Region(base=board.memory.handoff.end - 0x1000, size=0x1000)
    for name, memory in (*services, ("attester", attester)):
        entry = f"{name}_main"
        found.append(_task(len(found), Task(name), memory, entry, tuple(Call), Kind.SERVICE))
    return tuple(found)


def _task(
    number: int,
    task: Task,
    memory: Region,
    entry: str,
    calls: tuple[Call, ...],
    kind: Kind = Kind.ENCLAVE,
) -> planned.Task:
    stack = 0x600
    grants = (Grant("page", PAGE, Access.RAM),)
    return planned.Task(
        number=number,
        name=task.name,
        kind=kind,
        module=task.name if kind is Kind.ENCLAVE else None,
        entry=entry,
        memory=memory,
        stack_size=stack,
        window_save=memory.base + stack if kind is Kind.ENCLAVE else 0,
        heap=None,
        statics=None,
        secrecy=mask(task.secrecy, TAG_NUMBERS),
        integrity=mask(task.integrity, TAG_NUMBERS),
        calls=sum(1 << call for call in calls),
        priority=8,
        restart=0,
        backoff_ms=100,
        grants=(grants, grants),
        code_digest=bytes(32) if kind is Kind.ENCLAVE else None,
    )


def _channels(
    system: System, numbers: dict[str, int], gates: dict[str, int]
) -> tuple[planned.Channel, ...]:
    found = []
    queue = QUEUES
    for number, channel in enumerate(system.channels):
        to_sink = channel.target == _SINK
        found.append(
            planned.Channel(
                number=number,
                name=channel.name,
                from_name=channel.source,
                queue=0 if to_sink else queue,
                min_size=channel.min_size,
                max_size=channel.max_size,
                depth=channel.depth,
                source=numbers[channel.source],
                target=TO_SINK if to_sink else numbers[channel.target],
                gate=gates[channel.gate] if channel.gate else NO_GATE,
            )
        )
        queue += 0 if to_sink else queue_bytes(channel.max_size, channel.depth)
    return tuple(found)
