# SPDX-License-Identifier: Apache-2.0
"""Once a week means once a week, whatever is done to the board."""

from __future__ import annotations

import time
from pathlib import Path

from flasher.bundle import read_bundle
from flasher.run import board_of
from flasher.smp import Board, wait_for
from tests.acceptance.conftest import User

PATIENCE_S = 180.0
REFUSED = "gate budget used up"


def log_shows(port: str, text: str) -> bool:
    """Whether the board's log tells `text` before patience ends."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        with Board.open(port) as board:
            _, entries = board.log(0)
        if any(text in entry.text for entry in entries):
            return True
        time.sleep(0.5)
    return False


def test_neither_a_reset_nor_a_power_cut_brings_a_new_budget(user: User, diary: Path) -> None:
    left: list[bytes] = []
    state = user.home / "budget"
    with board_of(read_bundle(diary), state=state, root=user.home, taps=(left.append,)) as board:
        assert log_shows(board.port, "released")
        first = b"".join(left)
        assert first.startswith(b"week 1")
        with Board.open(board.port) as client:
            before = client.enclaves().uptime_ms
            client.reset()
        wait_for(board.port, PATIENCE_S, lambda it: it.enclaves().uptime_ms < before or None)
        assert log_shows(board.port, REFUSED)
        assert b"".join(left) == first
    with board_of(read_bundle(diary), state=state, root=user.home, taps=(left.append,)) as board:
        assert log_shows(board.port, REFUSED)
    assert b"".join(left) == first
