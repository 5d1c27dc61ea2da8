# SPDX-License-Identifier: Apache-2.0
"""What a person at a terminal sees while boards are provisioned."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

from flasher.state import runtime_root
from tests.fleet.fleets import PATIENCE_S, REPOSITORY, write_fleet
from tests.fleet.simulated_fleet import Pace, blank, firmware_of, plugged_in

SERIALS = ("b1", "b2")
# The image takes some five seconds, the table is drawn eight times in each.
SLOW = Pace(line=15_000, start_s=0.0)
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def _screen(master: int, into: list[bytes]) -> None:
    while True:
        try:
            data = os.read(master, 4096)
        except OSError as error:
            assert error.errno == errno.EIO  # the program has closed its terminal
            return
        into.append(data)


def test_a_terminal_shows_each_board_its_step_and_how_far_it_is(hello: Path, place: Path) -> None:
    file = write_fleet(place / "f", hello, SERIALS)
    firmware = firmware_of([hello])
    master, terminal = os.openpty()
    shown: list[bytes] = []
    reader = threading.Thread(target=_screen, args=(master, shown))
    with ExitStack() as stack:
        for serial in SERIALS:
            stack.enter_context(plugged_in(blank(firmware, SLOW), serial, runtime_root()))
        command = [sys.executable, REPOSITORY / "coffret.py", "fleet", "provision", file]
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=terminal,
            text=True,
            env={**os.environ, "COLUMNS": "100", "LINES": "40", "TERM": "xterm"},
        )
        os.close(terminal)
        reader.start()
        out, _ = process.communicate(timeout=PATIENCE_S)
    reader.join()
    os.close(master)
    assert process.returncode == 0, out
    assert "homes: provision: 2 done, 0 failed, 0 left" in out
    text = _CONTROL.sub("", b"".join(shown).decode())
    assert "0 of 2 done, 0 failed" in text
    for serial in SERIALS:
        assert re.search(rf"{serial} .*image .*#+\.", text), text
