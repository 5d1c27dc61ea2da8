# SPDX-License-Identifier: Apache-2.0
"""What the reference monitor enforces: tasks, channels and gates as values, and its answers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum, StrEnum
from typing import TypeAlias

from enclaves.graph import Life
from enclaves.labels import EMPTY, Label


class Answer(IntEnum):
    """What a call returns, as include/coffret/syscall.h numbers it."""

    OK = 0
    FULL = -1
    EMPTY = -2
    SIZE = -3
    DENIED = -4
    BUDGET = -6
    NOT_FOUND = -8
    PEER = -10


class Pending(Enum):
    """There is no answer: not yet, or never."""

    WAITS = "waits"
    ENDED = "ended"  # the call was the end of the caller's life


# An error or 0, a message, the channels that can be read, or nothing yet.
Outcome: TypeAlias = Answer | bytes | frozenset[int] | Pending


class Way(StrEnum):
    """enum channel_kind."""

    SEND = "send"
    EMIT = "emit"
    CALL = "call"
    FAULTS = "faults"


class Restart(StrEnum):
    """enum restart_policy."""

    NEVER = "never"
    ON_FAULT = "on-fault"
    ALWAYS = "always"


@dataclass(frozen=True, slots=True)
class Task:
    """An enclave, one role of a worker, or a sink (`accepts` is its secrecy).

    Workers with the same `body` share their memory; an empty body is the task's own.
    """

    name: str
    secrecy: Label = EMPTY
    integrity: Label = EMPTY
    sink: bool = False
    life: Life = Life.ALWAYS
    body: str = ""
    restart: Restart = Restart.ON_FAULT
    backoff_ms: int = 100


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
    kind: Way = Way.SEND
    reply_max: int = 0


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

    def body(self, name: str) -> str:
        """Whose memory the task has: its own name, or what the roles of its worker share."""
        return self.task(name).body or name
