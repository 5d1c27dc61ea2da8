# SPDX-License-Identifier: Apache-2.0
"""After a worker's life nothing of the secret is left in RAM, queues and monitor included.

The emulated RAM is dumped from outside: after the trace the board has been reset, which changes no
RAM, and waits. Each test has its control: one step earlier, or without the defence, it is there.
"""

from __future__ import annotations

from pathlib import Path

from enclaves.graph import Life
from enclaves.monitor_system import Channel, Restart, System, Task, Way
from tests.monitor.rig import Memory
from tests.oracle.machine import SINK, Alter, Operation, OracleBoard, build
from tests.oracle.operations import EXIT, FAULT, RECEIVE, SEND, WAIT
from tests.qemu import needs_qemu

pytestmark = needs_qemu

RAM, RAM_SIZE = 0x2000_0000, 0x4_0000
LENGTH, SALT = 32, 0xA0
SECRET = bytes(SALT + i for i in range(LENGTH))
PIECE = 8
SYSTEM = System(
    tasks=(
        Task("e0", frozenset({"low"}), life=Life.SUMMONED, body="e0", backoff_ms=60_000),
        Task("e1", frozenset({"far"}), life=Life.SUMMONED, body="e0", backoff_ms=60_000),
        Task("e2", frozenset({"low"}), restart=Restart.NEVER),
        Task(SINK, sink=True),
    ),
    channels=(Channel("c0", "e2", "e0", 0, LENGTH, 2, kind=Way.EMIT),),
)
SEND_IT = Operation(SEND, 2, 0, LENGTH, salt=SALT)
SENDER_ENDS = Operation(EXIT, 2)
READ_IT = Operation(RECEIVE, 0, 0, capacity=LENGTH)
WAIT_FOR_MORE = Operation(WAIT, 0, capacity=1, mask=1)
FAULTS = Operation(FAULT, 0)


def pieces_found(
    directory: Path, operations: tuple[Operation, ...], alter: Alter = lambda _: None
) -> int:
    """How many pieces of the secret are anywhere in RAM at the end."""
    memory = Memory(directory)
    image = build(directory, alter)
    with OracleBoard(image, directory, extra=memory.arguments) as board:
        seen = board.run(SYSTEM, operations)
        assert seen.finished
        assert all(step.taken for step in seen.steps)
        dump = memory.read(RAM, RAM_SIZE)
    return sum(SECRET[at : at + PIECE] in dump for at in range(LENGTH - PIECE + 1))


def test_the_secret_is_there_while_it_is_used(tmp_path: Path) -> None:
    assert pieces_found(tmp_path, (SEND_IT, SENDER_ENDS, READ_IT))


def test_nothing_of_it_is_left_when_the_worker_has_served(tmp_path: Path) -> None:
    assert pieces_found(tmp_path, (SEND_IT, SENDER_ENDS, READ_IT, WAIT_FOR_MORE)) == 0


def test_after_a_fault_only_the_message_waits_for_the_next_life(tmp_path: Path) -> None:
    found = pieces_found(tmp_path, (SEND_IT, SENDER_ENDS, READ_IT, FAULTS))
    assert found == LENGTH - PIECE + 1  # in its queue, which no enclave can read; nowhere else


def test_without_the_scrub_it_would_be_found(tmp_path: Path) -> None:
    def forget(path: Path) -> str | None:
        if path.name != "task.c":
            return None
        text = path.read_text(encoding="utf-8")
        assert text.count("    task_scrub(number);\n") == 1
        return text.replace("    task_scrub(number);\n", "")

    assert pieces_found(tmp_path, (SEND_IT, SENDER_ENDS, READ_IT, WAIT_FOR_MORE), forget)


def test_without_wiping_the_queue_it_would_be_found(tmp_path: Path) -> None:
    def forget(path: Path) -> str | None:
        if path.name != "channel.c":
            return None
        text = path.read_text(encoding="utf-8")
        wipe = "    memset(entry + 1, 0, entry[0]); // nothing of it stays behind\n"
        assert text.count(wipe) == 1
        return text.replace(wipe, "")

    assert pieces_found(tmp_path, (SEND_IT, SENDER_ENDS, READ_IT, WAIT_FOR_MORE), forget)
