# SPDX-License-Identifier: Apache-2.0
"""The monitor's stack: what it can need at the very most fits what the board gives it."""

from __future__ import annotations

from pathlib import Path

import pytest

import boards
from firmware.planning.monitor_features import EVERYTHING, Feature
from tests.monitor.proper import compile_proper
from tests.monitor.stack_bound import FLAGS, RecursionFoundError, StackBound

# Arm DDI 0403, section B1.5.7: eight words, and one that aligns them.
EXCEPTION = 36
DEFAULT = "mps2-an385"
# Memory functions and divisions, in registers but for a few words each.
RUN_TIME = ("mem", "str", "__aeabi_", "__gnu_", "__udiv", "__div")
BOARDS = [
    pytest.param(name, marks=() if name == DEFAULT else pytest.mark.all) for name in boards.names()
]


def bound_of(directory: Path, name: str) -> tuple[StackBound, int]:
    """Of the monitor with everything and the board's drivers, and what it may use at most.

    The idle loop is the end of the reset handler; an exception on top of it does the work, and a
    fault on top of that one resets the board.
    """
    board = boards.load(name)
    features = EVERYTHING if board.pins.numbers else EVERYTHING - {Feature.DEVICES}
    found = StackBound(compile_proper(board, directory, features, FLAGS, drivers=True))
    start = found.deepest("monitor_start").size
    running = found.frames["monitor_start"] + EXCEPTION + found.deepest("core_exception").size
    return found, max(start, running) + EXCEPTION + found.deepest("monitor_panic").size


@pytest.mark.parametrize("name", BOARDS)
def test_the_deepest_way_down_fits_the_stack(name: str, tmp_path: Path) -> None:
    found, most = bound_of(tmp_path, name)
    print(f"{name}: {most} bytes, {found.deepest('core_exception')}, {sorted(found.outside)}")
    assert most <= boards.load(name).memory.main_stack
    assert all(symbol.startswith(RUN_TIME) for symbol in found.outside), found.outside


def test_the_bound_sees_frames_calls_and_recursion(tmp_path: Path) -> None:
    found, _ = bound_of(tmp_path, DEFAULT)
    caller = next(name for name, callees in found.calls.items() if callees & found.frames.keys())
    callee = next(name for name in found.calls[caller] if name in found.frames)
    before = found.deepest(caller).size
    found._known.clear()
    found.frames[callee] += 4096
    assert found.deepest(caller).size > before + 2048
    found._known.clear()
    found.calls[callee] = {caller}
    with pytest.raises(RecursionFoundError):
        found.deepest(caller)
