# SPDX-License-Identifier: Apache-2.0
"""An executable reference model of the whole monitor: the oracle for the C.

It says what a system call answers, who goes on because of it, and what the log says, in the order
in which the monitor asks its questions (runtime/monitor/channel.c, call.c, worker.c, gate.c,
task.c). It has nothing of how: no memory, no pointers, no scheduler. Time is given, in
microseconds since boot.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from enclaves.graph import Life
from enclaves.labels import EMPTY, leaked, unvouched
from enclaves.monitor_system import (
    Answer,
    Channel,
    Gate,
    Outcome,
    Pending,
    Restart,
    System,
    Task,
    Way,
)

__all__ = ["Answer", "Channel", "Gate", "Monitor", "Pending", "Restart", "System", "Task", "Way"]

US_PER_S = 1_000_000
US_PER_MS = 1_000
BACKOFF_LIMIT = 64
EXCEPTION = 16  # enum fault_reason: what a task can accuse itself of
_SILENT = (Way.EMIT, Way.FAULTS)


class Status(StrEnum):
    """enum task_status."""

    READY = "ready"
    WAITING = "waiting"
    STOPPED = "stopped"
    BACKOFF = "back-off"
    ASLEEP = "asleep"


@dataclass(slots=True)
class _GateState:
    window_end: int = 0
    used: int = 0
    refused: bool = False


@dataclass(slots=True)
class _Call:
    """What a caller waits for; `waits` until the other side has taken the request."""

    request: bytes
    capacity: int
    taken: bool = False


@dataclass(slots=True)
class _TaskState:
    status: Status
    waits_for: frozenset[int] = frozenset()  # SYS_WAIT
    answers: tuple[int, int] | None = None  # SYS_ANSWER: channel and capacity
    served: int | None = None  # the channel whose message a worker has had
    faults: int = 0
    restarts: int = 0
    backoff_ms: int = 0
    started_at: int = 0
    wake_at: int = 0


@dataclass(slots=True)
class Monitor:
    """The state machine. `log` has the monitor's own entries, `left` what went out by each sink,
    `finished` the calls that were answered late, `lives` how often each task was started.

    A sink's driver is taken to have room (the board's ring is not modelled).
    """

    system: System
    log: list[str] = field(default_factory=list)
    left: dict[str, list[bytes]] = field(default_factory=dict)
    finished: list[tuple[str, Outcome]] = field(default_factory=list)
    lives: dict[str, int] = field(default_factory=dict)
    now_us: int = 0
    _queues: dict[int, deque[bytes]] = field(default_factory=dict)
    _dropped: dict[int, int] = field(default_factory=dict)
    _calls: dict[int, _Call] = field(default_factory=dict)
    _gates: dict[str, _GateState] = field(default_factory=dict)
    _releases: int = 0
    _refused: set[int] = field(default_factory=set)
    _tasks: dict[str, _TaskState] = field(default_factory=dict)
    _occupants: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for task in self.system.tasks:
            if not task.sink:
                worker = task.life is not Life.ALWAYS
                self._tasks[task.name] = _TaskState(Status.ASLEEP if worker else Status.READY)
                self.lives[task.name] = 0 if worker else 1

    def status(self, task: str) -> Status:
        """What the task is doing."""
        return self._tasks[task].status

    def counts(self, task: str) -> tuple[int, int]:
        """(faults, restarts) since boot."""
        state = self._tasks[task]
        return state.faults, state.restarts

    # ---- channels ----

    def send(  # noqa: PLR0911 - one return a question
        self, task: str, number: int, message: bytes, now_us: int
    ) -> Answer:
        """SYS_SEND by `task` on channel `number`, through its gate if it has one."""
        self.now_us = now_us
        if not self._owns(number, task, sending=True):
            return Answer.DENIED
        channel = self.system.channels[number]
        if channel.kind not in (Way.SEND, Way.EMIT):
            return Answer.DENIED
        if not channel.min_size <= len(message) <= channel.max_size:
            return Answer.SIZE
        if not self._may_flow(channel):
            return self._refuse(number)
        answer = self._admit(channel, len(message))
        if answer is not Answer.OK:
            return answer
        if self.system.task(channel.target).sink:
            self.left.setdefault(channel.target, []).append(message)
            taken = True
        else:
            taken = self._enqueue(number, message)
        if not taken and self._tells_sender(channel):
            return Answer.FULL
        if channel.gate is not None:
            self._gates[channel.gate].used += 1
            self._log_release("released", channel.gate)
        return Answer.OK

    def receive(  # noqa: PLR0911 - one return a question
        self, task: str, number: int, capacity: int
    ) -> Outcome:
        """SYS_RECEIVE: the oldest message. One that is longer than `capacity` stays."""
        if not self._owns(number, task, sending=False):
            return Answer.DENIED
        if self.has_served(task):
            return self._sleep(task)
        if self.system.channels[number].kind is Way.CALL:
            return self._take(number, capacity)
        queue = self._queues.setdefault(number, deque())
        if not queue:
            return Answer.EMPTY
        if len(queue[0]) > capacity:
            return Answer.SIZE
        if self.system.task(task).life is not Life.ALWAYS:
            self._tasks[task].served = number
        if self.system.task(task).life is Life.SUMMONED:
            return queue[0]  # it stays until it has been served
        return queue.popleft()

    def readable(self, task: str) -> frozenset[int]:
        """The channels on which `task` has a message or a request."""
        queued = {n for n, queue in self._queues.items() if queue}
        asked = {n for n, call in self._calls.items() if not call.taken}
        return frozenset(n for n in queued | asked if self.system.channels[n].target == task)

    def wait(self, task: str, channels: frozenset[int], *, for_ever: bool) -> Outcome:
        """SYS_WAIT for a message on one of `channels`. A worker with nothing to do ends here."""
        readable = self.readable(task) & channels
        worker = self.system.task(task).life is not Life.ALWAYS
        if channels and (self.has_served(task) or (worker and not readable)):
            return self._sleep(task)
        if readable or not for_ever:
            return readable
        state = self._tasks[task]
        state.status, state.waits_for = Status.WAITING, channels
        return Pending.WAITS

    def dropped(self, task: str, number: int) -> Answer | int:
        """SYS_DROPPED: how many messages found no room."""
        if not self._owns(number, task, sending=False):
            return Answer.DENIED
        return self._dropped.get(number, 0)

    def may_know(self, asker: str, task: str) -> bool:
        """SYS_ACCOUNT: whether `asker` may see what `task` has used."""
        asked, who = self.system.task(task), self.system.task(asker)
        if asker == task:
            return True
        return not leaked(asked.secrecy, who.secrecy) and not unvouched(
            asked.integrity, who.integrity
        )

    # ---- calls ----

    def call(self, task: str, number: int, request: bytes, capacity: int) -> Outcome:
        """SYS_CALL. Its reply comes in `finished`."""
        if not self._owns(number, task, sending=True):
            return Answer.DENIED
        channel = self.system.channels[number]
        if channel.kind is not Way.CALL or self.system.task(channel.target).sink:
            return Answer.DENIED
        if not channel.min_size <= len(request) <= channel.max_size:
            return Answer.SIZE
        back = self._legal(channel.target, channel.source)
        if channel.gate is not None or not self._may_flow(channel) or not back:
            return self._refuse(number)
        if self._tasks[channel.target].status is Status.STOPPED:
            return Answer.PEER
        self._calls[number] = _Call(request, capacity)
        self._tasks[task].status = Status.WAITING
        answers = self._tasks[channel.target].answers
        if answers is not None and answers[0] == number:
            self._finish(channel.target, self._take(number, answers[1]))
        else:
            self._notify(number)
        return Pending.WAITS

    def reply(self, task: str, number: int, data: bytes) -> Answer:
        """SYS_REPLY to the request taken last."""
        if not self._owns(number, task, sending=False):
            return Answer.DENIED
        channel = self.system.channels[number]
        if channel.kind is not Way.CALL:
            return Answer.DENIED
        call = self._calls.get(number)
        if call is None or not call.taken:
            return Answer.NOT_FOUND
        if len(data) > min(channel.reply_max, call.capacity):
            return Answer.SIZE
        del self._calls[number]
        self._finish(channel.source, data)
        return Answer.OK

    def answer(self, task: str, number: int, data: bytes | None, capacity: int) -> Outcome:
        """SYS_ANSWER: reply unless `data` is None, then wait for the next request."""
        if not self._owns(number, task, sending=False):
            return Answer.DENIED
        if self.system.channels[number].kind is not Way.CALL:
            return Answer.DENIED
        if data is not None:
            result = self.reply(task, number, data)
            if result is not Answer.OK:
                return result
        call = self._calls.get(number)
        asked = call is not None and not call.taken
        worker = self.system.task(task).life is not Life.ALWAYS
        if self.has_served(task) or (worker and not asked):
            return self._sleep(task)
        if asked:
            return self._take(number, capacity)
        state = self._tasks[task]
        state.status, state.answers = Status.WAITING, (number, capacity)
        return Pending.WAITS

    def room_for_reply(self, number: int) -> int:
        """The most bytes that the caller who waits on `number` takes; 0 if nobody does."""
        call = self._calls.get(number)
        return call.capacity if call else 0

    def has_served(self, task: str) -> bool:
        """Whether `task` is a summoned worker that has its message."""
        summoned = self.system.task(task).life is Life.SUMMONED
        return summoned and self._tasks[task].served is not None

    # ---- life and death ----

    def fault(self, task: str, now_us: int) -> Pending:
        """The task does what it must not: it is wiped, and started again as its policy says."""
        self.now_us = now_us
        state = self._tasks[task]
        state.faults += 1
        report = struct.pack("<B3xIII", EXCEPTION, state.faults, 0, 0)  # the places are not its
        for number, channel in enumerate(self.system.channels):
            if channel.source == task and channel.kind is Way.FAULTS and self._may_flow(channel):
                self._enqueue(number, report)
        self.log.append(f"fault {task} exception")
        restarts = self.system.task(task).restart is not Restart.NEVER
        self._end(task, again=restarts)
        return Pending.ENDED

    def exit(self, task: str, now_us: int) -> Pending:
        """SYS_EXIT: the task is done."""
        self.now_us = now_us
        if self.system.task(task).life is not Life.ALWAYS:
            return self._sleep(task)
        again = self.system.task(task).restart is Restart.ALWAYS
        self._end(task, again=again)
        return Pending.ENDED

    def due(self) -> Iterator[tuple[str, int]]:
        """Who waits for a restart, and until when."""
        for name, state in self._tasks.items():
            if state.status is Status.BACKOFF:
                yield name, state.wake_at

    def restart(self, task: str, now_us: int) -> None:
        """The back-off of `task` is over."""
        self.now_us = now_us
        if self.system.task(task).life is not Life.ALWAYS:
            self._tasks[task].status = Status.ASLEEP
            self._summon(task)
        else:
            self.log.append(f"restart {task}")
            self._start(task)

    def _start(self, task: str) -> None:
        state = self._tasks[task]
        state.status, state.started_at = Status.READY, self.now_us
        self.lives[task] += 1

    def _end(self, task: str, *, again: bool) -> None:
        state = self._tasks[task]
        state.served, state.waits_for, state.answers = None, frozenset(), None
        if again:
            self._back_off(task)
        else:
            state.status = Status.STOPPED
            self.log.append(f"stopped {task}")
        self._forget_calls(task)
        self._release_body(task)

    def _sleep(self, task: str) -> Pending:
        """A worker has nothing more to do: it is wiped, and its memory is the next one's.

        `now_us` must be up to date: one that took nothing waits for its restart.
        """
        state = self._tasks[task]
        if state.served is not None and self._keeps_message(task, state.served):
            self._queues[state.served].popleft()
        if state.served is None and self.readable(task):
            self._back_off(task)  # it left what it was started for: at once again would be for ever
        else:
            state.status = Status.ASLEEP
        state.served = None
        self._forget_calls(task)
        self._release_body(task)
        return Pending.ENDED

    def _back_off(self, task: str) -> None:
        state, first = self._tasks[task], self.system.task(task).backoff_ms
        longest = first * BACKOFF_LIMIT
        lived = self.now_us - state.started_at
        if state.backoff_ms == 0 or lived > longest * US_PER_MS:
            state.backoff_ms = first
        state.status = Status.BACKOFF
        state.wake_at = self.now_us + state.backoff_ms * US_PER_MS
        state.restarts += 1
        if state.backoff_ms < longest:
            state.backoff_ms *= 2

    def _forget_calls(self, task: str) -> None:
        """Whoever was promised an answer by `task` learns that there will be none."""
        stopped = self._tasks[task].status is Status.STOPPED
        for number, call in sorted(self._calls.items()):
            channel = self.system.channels[number]
            if channel.target == task and (call.taken or stopped):
                del self._calls[number]
                self._finish(channel.source, Answer.PEER)

    def _summon(self, task: str) -> None:
        body = self.system.body(task)
        free = body not in self._occupants
        if self._tasks[task].status is Status.ASLEEP and free and self.readable(task):
            self._occupants[body] = task
            self._start(task)

    def _release_body(self, task: str) -> None:
        body = self.system.body(task)
        if self._occupants.get(body) != task:
            return
        del self._occupants[body]
        names = list(self._tasks)
        after = names.index(task) + 1
        for name in (*names[after:], *names[:after]):  # the others first, in turn
            if self.system.task(name).life is not Life.ALWAYS and self.system.body(name) == body:
                self._summon(name)

    def _keeps_message(self, task: str, number: int) -> bool:
        """Whether what `task` is serving is still in its queue."""
        queued = self.system.channels[number].kind is not Way.CALL
        return queued and self.system.task(task).life is Life.SUMMONED

    # ---- the parts of a step ----

    def _finish(self, task: str, outcome: Outcome) -> None:
        state = self._tasks[task]
        state.status, state.waits_for, state.answers = Status.READY, frozenset(), None
        self.finished.append((task, outcome))

    def _take(self, number: int, capacity: int) -> Outcome:
        call = self._calls.get(number)
        if call is None or call.taken:
            return Answer.EMPTY
        if len(call.request) > capacity:
            return Answer.SIZE
        call.taken = True
        target = self.system.channels[number].target
        if self.system.task(target).life is not Life.ALWAYS:
            self._tasks[target].served = number
        return call.request

    def _enqueue(self, number: int, message: bytes) -> bool:
        queue = self._queues.setdefault(number, deque())
        taken = len(queue) < self.system.channels[number].depth
        if taken:
            queue.append(message)
        else:
            self._dropped[number] = self._dropped.get(number, 0) + 1
        if taken or self.system.channels[number].kind in _SILENT:
            self._notify(number)
        return taken

    def _notify(self, number: int) -> None:
        target = self.system.channels[number].target
        state = self._tasks[target]
        if state.status is Status.ASLEEP:
            self._summon(target)
        elif state.status is Status.WAITING and number in state.waits_for:
            self._finish(target, self.readable(target) & state.waits_for)

    def _owns(self, number: int, task: str, *, sending: bool) -> bool:
        if not 0 <= number < len(self.system.channels):
            return False
        channel = self.system.channels[number]
        return (channel.source if sending else channel.target) == task

    def _legal(self, source_name: str, target_name: str) -> bool:
        source, target = self.system.task(source_name), self.system.task(target_name)
        return not leaked(source.secrecy, target.secrecy) and not unvouched(
            source.integrity, target.integrity
        )

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

    def _tells_sender(self, channel: Channel) -> bool:
        """That there is no room flows back: only where it may, and never of a silent channel."""
        source, target = self.system.task(channel.source), self.system.task(channel.target)
        return channel.kind is Way.SEND and not leaked(target.secrecy, source.secrecy)

    def _refuse(self, number: int) -> Answer:
        if number not in self._refused:
            self._refused.add(number)
            self.log.append(f"flow refused {self.system.channels[number].name}")
        return Answer.DENIED

    def _log_release(self, what: str, name: str) -> None:
        """Entries that no other may push out are numbered, so that one sees what is gone.

        The log is open: of a gate that leaves its enclave's data labelled there are none.
        """
        gate = self.system.gate(name)
        if leaked(self.system.task(gate.task).secrecy, EMPTY, gate.releases):
            return
        self._releases += 1
        self.log.append(f"{what} {name} #{self._releases}")

    def _admit(self, channel: Channel, length: int) -> Answer:
        if channel.gate is None:
            return Answer.OK
        gate = self.system.gate(channel.gate)
        state = self._gates.setdefault(gate.name, _GateState())
        if length > gate.max_bytes:
            return Answer.SIZE
        if self.now_us >= state.window_end:  # a new window begins with its first attempt
            state.window_end = self.now_us + gate.window_s * US_PER_S
            state.used = 0
            state.refused = False
        if state.used < gate.budget:
            return Answer.OK
        if not state.refused:
            state.refused = True
            self._log_release("gate budget used up", gate.name)
        return Answer.BUDGET
