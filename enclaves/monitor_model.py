# SPDX-License-Identifier: Apache-2.0
"""An executable reference model of the monitor's channels and gates: the oracle for the C.

It says what a system call answers and what the log says, in the order in which the monitor asks
its questions (runtime/monitor/channel.c, gate.c), and has nothing of how: no memory, no pointers,
no scheduler. Time is given with each call, in microseconds since boot.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import IntEnum

from enclaves.labels import EMPTY, Label, leaked, unvouched

US_PER_S = 1_000_000


class Answer(IntEnum):
    """What a call returns, as include/coffret/syscall.h numbers it."""

    OK = 0
    FULL = -1
    EMPTY = -2
    SIZE = -3
    DENIED = -4
    BUDGET = -6


@dataclass(frozen=True, slots=True)
class Task:
    """An enclave, or a sink (`accepts` is its secrecy)."""

    name: str
    secrecy: Label = EMPTY
    integrity: Label = EMPTY
    sink: bool = False


@dataclass(frozen=True, slots=True)
class Gate:
    """`budget` messages of at most `max_bytes`, in each window of `window_s` seconds."""

    name: str
    task: str
    releases: Label
    vouches: Label
    max_bytes: int
    budget: int
    window_s: int


@dataclass(frozen=True, slots=True)
class Channel:
    """Sizes in bytes, depth in messages."""

    name: str
    source: str
    target: str
    min_size: int
    max_size: int
    depth: int
    gate: str | None = None


@dataclass(frozen=True, slots=True)
class System:
    """What the tables hold. Channels are called by number."""

    tasks: tuple[Task, ...]
    channels: tuple[Channel, ...]
    gates: tuple[Gate, ...] = ()

    def task(self, name: str) -> Task:
        """The task `name`. Raises KeyError."""
        return {task.name: task for task in self.tasks}[name]

    def gate(self, name: str) -> Gate:
        """The gate `name`. Raises KeyError."""
        return {gate.name: gate for gate in self.gates}[name]


@dataclass(slots=True)
class _GateState:
    window_end: int = 0
    used: int = 0
    refused: bool = False


@dataclass(slots=True)
class Monitor:
    """The state machine. `log` has the monitor's own entries, `left` what went out by each sink.

    A sink's driver is taken to have room (the board's ring is not modelled).
    """

    system: System
    log: list[str] = field(default_factory=list)
    left: dict[str, list[bytes]] = field(default_factory=dict)
    _queues: dict[int, deque[bytes]] = field(default_factory=dict)
    _gates: dict[str, _GateState] = field(default_factory=dict)
    _refused: set[int] = field(default_factory=set)

    def send(self, task: str, number: int, message: bytes, now_us: int) -> Answer:
        """SYS_SEND by `task` on channel `number`, through its gate if it has one."""
        if not self._owns(number, task, sending=True):
            return Answer.DENIED
        channel = self.system.channels[number]
        if not channel.min_size <= len(message) <= channel.max_size:
            return Answer.SIZE
        if not self._may_flow(channel):
            if number not in self._refused:
                self._refused.add(number)
                self.log.append(f"flow refused {channel.name}")
            return Answer.DENIED
        answer = self._admit(channel, len(message), now_us)
        if answer is not Answer.OK:
            return answer
        if self.system.task(channel.target).sink:
            self.left.setdefault(channel.target, []).append(message)
        else:
            queue = self._queues.setdefault(number, deque())
            if len(queue) == channel.depth:
                return Answer.FULL
            queue.append(message)
        if channel.gate is not None:
            self._gates[channel.gate].used += 1
            self.log.append(f"released {channel.gate}")
        return Answer.OK

    def receive(self, task: str, number: int, capacity: int) -> Answer | bytes:
        """SYS_RECEIVE: the oldest message. One that is longer than `capacity` stays."""
        if not self._owns(number, task, sending=False):
            return Answer.DENIED
        queue = self._queues.setdefault(number, deque())
        if not queue:
            return Answer.EMPTY
        if len(queue[0]) > capacity:
            return Answer.SIZE
        return queue.popleft()

    def readable(self, task: str) -> set[int]:
        """The channels on which `task` has a message."""
        return {n for n, q in self._queues.items() if q and self.system.channels[n].target == task}

    def _owns(self, number: int, task: str, *, sending: bool) -> bool:
        if not 0 <= number < len(self.system.channels):
            return False
        channel = self.system.channels[number]
        return (channel.source if sending else channel.target) == task

    def _may_flow(self, channel: Channel) -> bool:
        source, target = self.system.task(channel.source), self.system.task(channel.target)
        releases = vouches = EMPTY
        if channel.gate is not None:
            gate = self.system.gate(channel.gate)
            if gate.task != channel.source:
                return False
            releases, vouches = gate.releases, gate.vouches
        if leaked(source.secrecy, target.secrecy, releases):
            return False
        return target.sink or not unvouched(source.integrity, target.integrity, vouches)

    def _admit(self, channel: Channel, length: int, now_us: int) -> Answer:
        if channel.gate is None:
            return Answer.OK
        gate = self.system.gate(channel.gate)
        state = self._gates.setdefault(gate.name, _GateState())
        if length > gate.max_bytes:
            return Answer.SIZE
        if now_us >= state.window_end:  # a new window begins with its first attempt
            state.window_end = now_us + gate.window_s * US_PER_S
            state.used = 0
            state.refused = False
        if state.used < gate.budget:
            return Answer.OK
        if not state.refused:
            state.refused = True
            self.log.append(f"gate budget used up {gate.name}")
        return Answer.BUDGET
