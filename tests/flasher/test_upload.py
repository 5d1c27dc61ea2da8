# SPDX-License-Identifier: Apache-2.0
"""Uploads to the firmware's own SMP server (C, on this machine): bytes on the line, cut cables."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.serial_line import SerialLine
from flasher.errors import GoneError
from flasher.smp import Board
from tests.smp.simulated_board import RECOVERY, build, make_image, running_board

IMAGE = make_image(1, bytes(range(256)) * 160)


@pytest.fixture(scope="module")
def recovery(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    return build(RECOVERY, tmp_path_factory.mktemp("recovery"))


def test_of_ten_bytes_on_the_line_seven_are_the_images(
    recovery: ctypes.CDLL, tmp_path: Path
) -> None:
    """Both directions count. Side by side with smpmgr, on the same board."""
    with running_board(RECOVERY, recovery) as board, SerialLine(board.link) as line:
        with Board.open(line.path) as ours:
            before = line.to_board + line.to_host
            ours.upload(IMAGE)
        ratio = len(IMAGE) / (line.to_board + line.to_host - before)
        assert board.slot_bytes(1, len(IMAGE)) == IMAGE
    assert ratio >= 0.70
    file = tmp_path / "image.bin"
    file.write_bytes(IMAGE)
    with running_board(RECOVERY, recovery) as board, SerialLine(board.link) as line:
        smpmgr = [str(Path(sys.executable).parent / "smpmgr"), "--port", line.path]
        subprocess.run(
            [*smpmgr, "--timeout", "10", "image", "upload", str(file), "--slot", "1"],
            check=True,
            capture_output=True,
        )
        theirs = len(IMAGE) / (line.to_board + line.to_host)
        assert board.slot_bytes(1, len(IMAGE)) == IMAGE
    assert ratio > theirs


def test_smp_cable_pulled_at_every_twentieth_of_the_upload(recovery: ctypes.CDLL) -> None:
    with running_board(RECOVERY, recovery) as board, SerialLine(board.link) as line:
        with Board.open(line.path) as ours:
            ours.upload(IMAGE)
        total = line.to_board
    with running_board(RECOVERY, recovery) as board:
        for part in range(20):
            with SerialLine(board.link, pull_after=total * part // 20) as line:
                with pytest.raises(GoneError, match="went away during") as gone:
                    _upload(line.path)
                assert gone.value.exit_code == 3
                assert "plug the board in again" in gone.value.mend
            # Whatever the server has half heard, a new frame starts anew.
            with SerialLine(board.link) as line:
                _upload(line.path)
            assert board.slot_bytes(1, len(IMAGE)) == IMAGE
            board.put_slot(1, b"\xff" * len(IMAGE))


def test_what_noise_swallows_is_sent_again(recovery: ctypes.CDLL) -> None:
    with running_board(RECOVERY, recovery) as board, SerialLine(board.link) as line:
        with Board.open(line.path) as ours:
            ours.upload(IMAGE)
        there, back = line.to_board, line.to_host
    chunks = frozenset(there * part // 10 for part in (3, 5, 8))
    answers = frozenset(back * part // 10 for part in (4, 7))
    with (
        running_board(RECOVERY, recovery) as board,
        SerialLine(board.link, lost_to_board=chunks, lost_to_host=answers) as line,
    ):
        with Board.open(line.path) as ours:
            ours.timeout_s = 0.25  # else each loss takes ten seconds
            ours.upload(IMAGE)
        assert line.to_board > there  # it was sent again
        assert board.slot_bytes(1, len(IMAGE)) == IMAGE


def _upload(port: str) -> None:
    with Board.open(port) as board:
        board.erase()
        board.upload(IMAGE)
