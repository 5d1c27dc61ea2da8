# SPDX-License-Identifier: Apache-2.0
"""The operations of a trace, as oracle.h numbers them, and what each is on the reference model."""

from __future__ import annotations

from enclaves.monitor_model import Monitor
from enclaves.monitor_system import Answer, Outcome
from tests.oracle.machine import DATA_MAX, Operation

PAUSE, SEND, RECEIVE, WAIT, CALL, REPLY, ANSWER, DROPPED, ACCOUNT, FAULT, EXIT, NOTHING = range(12)
LOG = 12
NO_REPLY = 0xFFFF


def perform(  # noqa: PLR0911 - one return a kind
    model: Monitor, task: str, number: int, operation: Operation, now_us: int
) -> Outcome | int:
    """The operation on the model; what it says at once."""
    data = bytes(
        (number + i + operation.salt) & 0xFF for i in range(min(operation.length, DATA_MAX))
    )
    channel, capacity = operation.channel, operation.capacity
    model.now_us = now_us
    match operation.kind:
        case x if x == SEND:
            return model.send(task, channel, data, now_us)
        case x if x == RECEIVE:
            return model.receive(task, channel, capacity)
        case x if x == WAIT:
            channels = frozenset(n for n in range(32) if operation.mask >> n & 1)
            return model.wait(task, channels, for_ever=bool(capacity))
        case x if x == CALL:
            return model.call(task, channel, data, capacity)
        case x if x == REPLY:
            return model.reply(task, channel, data)
        case x if x == ANSWER:
            reply = None if operation.length == NO_REPLY else data
            return model.answer(task, channel, reply, capacity)
        case x if x == DROPPED:
            return model.dropped(task, channel)
        case x if x == ACCOUNT:
            whom = model.system.tasks[channel].name
            return Answer.OK if model.may_know(task, whom) else Answer.DENIED
        case x if x == FAULT:
            return model.fault(task, now_us)
        case x if x == EXIT:
            return model.exit(task, now_us)
    raise ValueError(operation)
