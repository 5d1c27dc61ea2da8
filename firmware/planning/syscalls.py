# SPDX-License-Identifier: Apache-2.0
"""The monitor's system calls by number, and which kind of task may make which."""

from __future__ import annotations

from enum import IntEnum


class Call(IntEnum):
    """System calls, as include/coffret/syscall.h numbers them."""

    YIELD = 0
    SEND = 1
    RECEIVE = 2
    WAIT = 3
    TIME = 4
    LOG = 5
    FAULT = 6
    EXIT = 7
    CALL = 8
    REPLY = 9
    ANSWER = 10
    DROPPED = 11
    ACCOUNT = 12
    GATE_INFO = 13
    DEVICE = 15
    PORT_READ = 16
    PORT_WRITE = 17
    FLASH_ERASE = 18
    FLASH_PROGRAM = 19
    STORE_GET = 20
    STORE_PUT = 21
    MARK_TEST = 22
    CONFIRM = 23
    RESET = 24
    LOG_READ = 25
    TASK_INFO = 26
    EVIDENCE = 27
    EVIDENCE_NEXT = 28
    EVIDENCE_DONE = 29
    IDENTITY = 30


_EVERYBODY = (Call.YIELD, Call.TIME, Call.LOG, Call.FAULT, Call.EXIT)
ENCLAVE_CALLS = (
    *_EVERYBODY,
    Call.SEND,
    Call.RECEIVE,
    Call.WAIT,
    *(call for call in Call if Call.CALL <= call <= Call.ACCOUNT),
)
MANAGER_CALLS = (
    *_EVERYBODY,
    Call.WAIT,
    *(call for call in Call if Call.PORT_READ <= call <= Call.EVIDENCE),
    Call.IDENTITY,
)
ATTESTER_CALLS = (
    *_EVERYBODY,
    Call.GATE_INFO,
    Call.LOG_READ,
    Call.TASK_INFO,
    Call.EVIDENCE_NEXT,
    Call.EVIDENCE_DONE,
)
