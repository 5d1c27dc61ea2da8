# SPDX-License-Identifier: Apache-2.0
"""The plan: every number, address and permission of the image, as one value.

Nothing is decided after the plan. It can be printed, saved and compared as JSON; the generated
tables are a rendering of it, and the audit compares the linked image with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from boards.memory import Region
from boards.model import Board
from boards.mpu import Access
from firmware.planning.devices import GrantedDevice
from firmware.planning.memory import round_up
from firmware.planning.monitor_features import EVERYTHING, LOG_BYTES, Feature

SLOTS = 2
NO_GATE = 0xFF
TO_SINK = 0x80
RESTART = {"never": 0, "on-fault": 1, "always": 2}
QUEUE_ENTRY_HEADER = 4  # the length of the message (include/coffret/tables.h)
# Of the manager and the attester together, where the enclaves have fixed slices.
SERVICES_SLICE_MS = 4


class Flag(IntEnum):
    """TASK_WORKER, TASK_SUMMONED."""

    WORKER = 1
    SUMMONED = 2


FLAGS = {"always": 0, "worker": Flag.WORKER, "summoned": Flag.WORKER | Flag.SUMMONED}


class ChannelKind(IntEnum):
    """enum channel_kind."""

    SEND = 0
    EMIT = 1
    CALL = 2
    FAULTS = 3


class Kind(IntEnum):
    """enum task_kind."""

    ENCLAVE = 0
    SERVICE = 1


@dataclass(frozen=True, slots=True)
class Grant:
    """One further MPU region of a task."""

    name: str
    region: Region
    access: Access


@dataclass(frozen=True, slots=True)
class Task:
    """An enclave or a service. Addresses and sizes in bytes; labels and calls as bit masks."""

    number: int
    name: str
    kind: Kind
    module: str | None
    entry: str
    memory: Region
    stack_size: int  # from the bottom of memory
    window_save: int  # 0: none
    heap: Region | None
    statics: Region | None  # a service's variables
    secrecy: int
    integrity: int
    calls: int
    priority: int
    restart: int
    backoff_ms: int
    grants: tuple[tuple[Grant, ...], ...]  # by slot
    code_digest: bytes | None  # an enclave's, 32 bytes
    flags: int = 0  # of Flag
    body: int = 0  # of a worker: the first task with the same memory
    partition: int = 0  # with fixed slices: the task that leads it
    slice_ms: int = 0  # of the partition that it leads


@dataclass(frozen=True, slots=True)
class Channel:
    """`target` is a task number, or TO_SINK | sink number; `gate` a number or NO_GATE."""

    number: int
    name: str
    from_name: str
    queue: int
    min_size: int
    max_size: int
    depth: int
    source: int
    target: int
    gate: int
    kind: ChannelKind = ChannelKind.SEND
    reply_max: int = 0


@dataclass(frozen=True, slots=True)
class Gate:
    """Budget: `budget` messages of at most `max_bytes` in `window_s` seconds."""

    number: int
    name: str
    task: int
    releases: int
    vouches: int
    max_bytes: int
    budget: int
    window_s: int


@dataclass(frozen=True, slots=True)
class Sink:
    """`device` is the number of the board's stream."""

    number: int
    name: str
    device: int
    accepts: int


@dataclass(frozen=True, slots=True)
class Plan:
    """The whole image but for its code. Tags, tasks, channels, gates and sinks by number."""

    appliance: str
    version: str
    security_counter: int
    revokes_below: int
    board: Board
    tags: tuple[str, ...]
    tasks: tuple[Task, ...]
    channels: tuple[Channel, ...]
    gates: tuple[Gate, ...]
    sinks: tuple[Sink, ...]
    devices: tuple[GrantedDevice, ...]
    monitor: Region
    main_stack: int
    queues: Region | None
    window: Region
    free_ram: int
    features: frozenset[Feature] = EVERYTHING  # of the monitor; the rest is not in the image
    log: int = LOG_BYTES
    delta_updates: bool = False
    radio: bytes | None = None  # SHA-256 of the radio module's firmware

    @property
    def enclaves(self) -> tuple[Task, ...]:
        """The tasks that run the VM."""
        return tuple(task for task in self.tasks if task.kind is Kind.ENCLAVE)

    def task(self, name: str) -> Task:
        """The task `name`. Raises KeyError."""
        for task in self.tasks:
            if task.name == name:
                return task
        raise KeyError(name)


def queue_bytes(max_size: int, depth: int, kind: ChannelKind = ChannelKind.SEND) -> int:
    """Monitor RAM of one channel: each message with its length, in whole words.

    A silent channel has one entry more, for what is dropped; a call has no queue.
    """
    if kind is ChannelKind.CALL:
        return 0
    if kind in (ChannelKind.EMIT, ChannelKind.FAULTS):
        depth += 1
    return depth * (QUEUE_ENTRY_HEADER + round_up(max_size, 4))
