# SPDX-License-Identifier: Apache-2.0
"""Uploads over SMP on a line of 1 Mbaud: ours and smpmgr's, one after the other on one port.

The other end is the firmware's own recovery (C), compiled for this machine. The bound is the time
that the bytes which crossed the line take at its rate; the strict bound, that of base64 alone.
"""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.measure import Measure
from benchmarks.serial_line import BITS_PER_BYTE, SerialLine
from benchmarks.workshop import Workshop
from flasher.smp import Board

BAUD = 1_000_000
IMAGE_BYTES = 120_000
_MICRO = 1_000_000


def uploads(workshop: Workshop) -> Iterator[Measure]:
    """Bytes and times of one image by each client."""
    folder = workshop.folder / "server"
    folder.mkdir()
    image: bytes = _simulated().make_image(1, bytes(range(256)) * (IMAGE_BYTES // 256))
    file = workshop.folder / "image.bin"
    file.write_bytes(image)
    library = _simulated().build(_simulated().RECOVERY, folder)
    for name, send in (("coffret", _ours(image)), ("smpmgr", _smpmgr(file))):
        with _board(library) as board:
            seconds = send(board.recv())
            board.send(len(image))
            to_board, to_host, held = board.recv()
        assert held == image
        bound = to_board * BITS_PER_BYTE / BAUD
        strict = len(image) * 4 / 3 * BITS_PER_BYTE / BAUD
        took = round(seconds * _MICRO)
        yield Measure.beside(
            f"upload by {name}: image", len(image), "bytes", "bytes on the line", to_board + to_host
        )
        yield Measure.beside(
            f"upload by {name}: time", took, "us", "line rate", round(bound * _MICRO)
        )
        yield Measure.beside(
            f"upload by {name}: time", took, "us", "line rate, base64", round(strict * _MICRO)
        )


def _simulated() -> Any:
    """The simulated board belongs to the tests; types stop here."""
    return import_module("tests.smp.simulated_board")


@contextmanager
def _board(library: Any) -> Iterator[Connection]:
    """The board and its line in a process of their own; says its port, then counts and content."""
    here, there = multiprocessing.Pipe()
    context = multiprocessing.get_context("fork")
    process = context.Process(target=_serve, args=(library, there), daemon=True)
    process.start()
    try:
        yield here
    finally:
        process.terminate()
        process.join()


def _serve(library: Any, host: Connection) -> None:
    recovery = _simulated().RECOVERY
    with (
        _simulated().running_board(recovery, library) as board,
        SerialLine(board.link, BAUD) as line,
    ):
        host.send(line.path)
        held = board.slot_bytes(1, host.recv())
        host.send((line.to_board, line.to_host, held))
        host.recv()


def _ours(image: bytes) -> Callable[[str], float]:
    def send(port: str) -> float:
        with Board.open(port) as board:
            started = time.monotonic()
            board.upload(image)
            return time.monotonic() - started

    return send


def _smpmgr(file: Path) -> Callable[[str], float]:
    """The time of its process less that of one which only asks for the state of the images."""

    def send(port: str) -> float:
        program = [str(Path(sys.executable).parent / "smpmgr"), "--port", port, "--timeout", "10"]
        idle = _timed([*program, "image", "state-read"])
        return _timed([*program, "image", "upload", str(file), "--slot", "1"]) - idle

    return send


def _timed(command: list[str]) -> float:
    started = time.monotonic()
    subprocess.run(command, check=True, capture_output=True)
    return time.monotonic() - started
