# SPDX-License-Identifier: Apache-2.0
"""`coffret provision --bundle`: one board from blank to trusted, and on after a cut."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from flasher.state import runtime_root
from tests.flasher.fake_board import WRITE
from tests.fleet.fleets import PATIENCE_S, REPOSITORY
from tests.fleet.simulated_fleet import blank, firmware_of, plugged_in, provisioned


def _provision(bundle: Path, place: Path, *words: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, REPOSITORY / "coffret.py", "provision", "--bundle", bundle, *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
        cwd=place,
        env=dict(os.environ),
    )
    return done.returncode, done.stdout, done.stderr


def test_one_command_takes_a_blank_board_to_trusted_with_its_label(
    hello: Path, place: Path
) -> None:
    board = blank(firmware_of([hello]))
    label = place / "kitchen.pdf"
    with plugged_in(board, "b1", runtime_root()):
        words = ("--port", "b1", "--name", "kitchen", "--label", str(label), "--json")
        code, out, err = _provision(hello, place, *words)
        assert code == 0, err
        answer = json.loads(out)
        assert (answer["name"], answer["verdict"], answer["changed"]) == (
            "kitchen",
            "trusted",
            True,
        )
        assert provisioned(board)
        assert label.read_bytes().startswith(b"%PDF")

        # Again: nothing is left to do, and nothing is written.
        code, out, err = _provision(hello, place, *words)
        assert code == 0, err
        assert json.loads(out) == answer | {"changed": False}
        assert board.uploads == 1


def test_it_goes_on_where_it_was_cut_short(hello: Path, place: Path) -> None:
    board = blank(firmware_of([hello]))
    with plugged_in(board, "b1", runtime_root()) as port:
        endorse = port.handlers[WRITE, 65, 1]
        port.handlers[WRITE, 65, 1] = lambda _: {"rc": 1}  # whatever stands in the way of it
        code, _, err = _provision(hello, place)
        assert code == 1, err
        assert not board.endorsement
        port.handlers[WRITE, 65, 1] = endorse
        code, _, err = _provision(hello, place)
        assert code == 0, err
    assert provisioned(board)
    assert board.uploads == 1


def test_a_board_that_runs_something_else_is_not_called_provisioned(
    hello: Path, place: Path
) -> None:
    board = blank(firmware_of([hello]))
    board.tampered = True
    with plugged_in(board, "b1", runtime_root()):
        code, out, err = _provision(hello, place)
    assert code == 1
    assert not out
    assert "is not trusted: runtime" in err
    assert "mend: " in err
