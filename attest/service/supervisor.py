# SPDX-License-Identifier: Apache-2.0
"""Keeps processes alive: what dies is started again at once, and later and later if it dies young.

uvicorn's own supervisor takes a worker that is slow to start for a hung one and kills it, again and
again on a busy machine; this one only looks whether a process lives. Workers are forked from a
parent that has loaded everything and opened nothing, so a new one serves within milliseconds.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from multiprocessing.connection import wait
from multiprocessing.context import ForkProcess
from types import FrameType

from attest.service.logs import note

YOUNG = 2.0  # seconds: whoever dies earlier is started again later
LONGEST_PAUSE = 10.0  # seconds


class _Place:
    """Where one worker is, or will be."""

    def __init__(self, target: Callable[[], None]) -> None:
        self._target = target
        self._young_deaths = 0
        self.process: ForkProcess | None = None
        self.due = 0.0  # monotonic

    def start(self) -> None:
        self.process = multiprocessing.get_context("fork").Process(target=self._target)
        self._started = time.monotonic()
        self.process.start()

    def bury(self) -> None:
        """Take a dead process away, and say when the next one is due."""
        assert self.process is not None
        self.process.join()
        now = time.monotonic()
        young = now - self._started < YOUNG
        self._young_deaths = self._young_deaths + 1 if young else 0
        pause = min(LONGEST_PAUSE, 0.1 * 2**self._young_deaths) if young else 0.0
        note("worker died", pid=self.process.pid, code=self.process.exitcode, pause=pause)
        self.due = now + pause
        self.process.close()
        self.process = None


class Supervisor:
    """`workers` processes that each run `target`, until SIGTERM or SIGINT."""

    def __init__(self, target: Callable[[], None], workers: int, grace: float) -> None:
        self._places = [_Place(target) for _ in range(workers)]
        self._grace = grace
        self._reader, self._writer = os.pipe()
        self._stopping = False

    def run(self) -> None:
        """Return when every worker has ended."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        while not self._stopping:
            self._start_due()
            self._look()
        self._end()
        os.close(self._reader)
        os.close(self._writer)

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stopping = True
        os.write(self._writer, b"x")  # so that `wait` returns

    def _start_due(self) -> None:
        now = time.monotonic()
        for place in self._places:
            if place.process is None and place.due <= now:
                place.start()

    def _look(self) -> None:
        """Sleep until a worker dies, one is due, or a signal came."""
        alive = [p.process.sentinel for p in self._places if p.process is not None]
        due = [place.due for place in self._places if place.process is None]
        timeout = max(0.0, min(due) - time.monotonic()) if due else None
        dead = wait([*alive, self._reader], timeout)
        for place in self._places:
            if place.process is not None and place.process.sentinel in dead:
                place.bury()

    def _end(self) -> None:
        """SIGTERM, time to answer what is in flight, SIGKILL."""
        processes = [place.process for place in self._places if place.process is not None]
        for process in processes:
            process.terminate()
        until = time.monotonic() + self._grace
        for process in processes:
            process.join(max(0.0, until - time.monotonic()))
            if process.exitcode is None:
                process.kill()
                process.join()
