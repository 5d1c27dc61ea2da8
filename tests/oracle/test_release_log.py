# SPDX-License-Identifier: Apache-2.0
"""An enclave cannot push the releases out of the device's log, and what is gone is said."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from enclaves.labels import EMPTY
from enclaves.monitor_system import Channel, Gate, System, Task
from tests.oracle.machine import SINK, Observed, Operation, OracleBoard, build
from tests.oracle.operations import LOG, SEND
from tests.qemu import needs_qemu

pytestmark = needs_qemu

TAG = frozenset({"low"})
LINES = 60  # of 48 bytes: more than the whole log


def _system(budget: int) -> System:
    return System(
        tasks=(Task("e0", secrecy=TAG), Task("e1"), Task(SINK, sink=True)),
        channels=(Channel("c0", "e0", SINK, 0, 16, 1, gate="g0"),),
        gates=(Gate("g0", "e0", TAG, EMPTY, 16, budget, 60),),
    )


def _run(directory: Path, releases: int, *, defended: bool = True) -> Observed:
    def alter(path: Path) -> str | None:
        if defended or path.name != "log.c":
            return None
        text = path.read_text(encoding="utf-8")
        assert text.count("MONITOR_ITSELF | KEPT") == 1
        return text.replace("MONITOR_ITSELF | KEPT", "MONITOR_ITSELF")

    flood = Operation(LOG, 1, length=LINES, salt=(64 - releases) & 0xFF)  # the text is ASCII
    operations = (*(Operation(SEND, 0, 0, 4) for _ in range(releases)), flood)
    with OracleBoard(build(directory, alter), directory) as board:
        seen = board.run(_system(releases), operations)
    assert seen.finished
    return seen


def kept(log: Sequence[str]) -> list[str]:
    """What was released, of a log."""
    return [text for text in log if text.startswith("released")]


def test_a_flood_of_the_log_leaves_every_release_in_it(tmp_path: Path) -> None:
    log = _run(tmp_path, 3).steps[-1].log
    assert kept(log) == ["released g0 #1", "released g0 #2", "released g0 #3"]
    assert log[0] == "released g0 #1"  # the text before them is gone
    assert 0 < len(log) - 3 < LINES


def test_the_flood_succeeds_where_releases_may_be_pushed_out(tmp_path: Path) -> None:
    assert not kept(_run(tmp_path, 3, defended=False).steps[-1].log)


def test_releases_push_out_the_oldest_of_them_and_leave_room_for_text(tmp_path: Path) -> None:
    log = _run(tmp_path, 60).steps[-1].log
    told = kept(log)
    assert 0 < len(told) < 60
    assert told == [f"released g0 #{60 - len(told) + 1 + i}" for i in range(len(told))]
    assert len(log) > len(told)
