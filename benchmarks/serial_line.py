# SPDX-License-Identifier: Apache-2.0
"""A serial line of a certain speed: a pseudo-terminal joined to a board's socket."""

from __future__ import annotations

import os
import select
import socket
import threading
import time
import tty
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

BITS_PER_BYTE = 10  # 8N1
_BURST = 64  # bytes that arrive at once, as from a UART's FIFO
_CHUNK = 4096


@dataclass(slots=True)
class _Way:
    """One direction: what is under way, and when the line has carried it; `lost` never arrives."""

    lost: frozenset[int] = frozenset()
    waiting: bytearray = field(default_factory=bytearray)
    free_at: float = 0.0
    moved: int = 0

    def take(self, data: bytes, now: float) -> None:
        if not self.waiting:
            self.free_at = max(self.free_at, now)
        numbered = enumerate(data, self.moved)
        self.waiting += bytes(byte for number, byte in numbered if number not in self.lost)
        self.moved += len(data)

    def due(self, now: float, byte_s: float) -> bytes:
        """What has arrived by now."""
        ready = len(self.waiting) if not byte_s else int((now - self.free_at) / byte_s)
        whole = len(self.waiting) if ready >= len(self.waiting) else ready // _BURST * _BURST
        data = bytes(self.waiting[:whole])
        del self.waiting[:whole]
        self.free_at += whole * byte_s
        return data

    def next_at(self, byte_s: float) -> float:
        return self.free_at + min(len(self.waiting), _BURST) * byte_s


class SerialLine:
    """`path` is the host's end. `baud` None: as fast as it goes. Counts what crosses it.

    `pull_after`: so many bytes to the board, then the cable is gone. `lost_to_board` and
    `lost_to_host`: the numbers of bytes that noise swallows.
    """

    def __init__(
        self,
        board: socket.socket,
        baud: int | None = None,
        pull_after: int | None = None,
        lost_to_board: frozenset[int] = frozenset(),
        lost_to_host: frozenset[int] = frozenset(),
    ) -> None:
        self._pull_after = pull_after
        self._byte_s = 0.0 if baud is None else BITS_PER_BYTE / baud
        self._board = board
        self._to_board, self._to_host = _Way(lost_to_board), _Way(lost_to_host)

    @property
    def to_board(self) -> int:
        """Bytes so far."""
        return self._to_board.moved

    @property
    def to_host(self) -> int:
        """Bytes so far."""
        return self._to_host.moved

    def __enter__(self) -> Self:
        self._master, slave = os.openpty()
        self._terminal = [self._master, slave]
        tty.setraw(slave)
        self.path = os.ttyname(slave)
        self._stop, self._stopped = os.pipe()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._stopped)
        self._thread.join()
        os.close(self._stop)
        self._unplug()

    def _unplug(self) -> None:
        for fd in self._terminal:
            os.close(fd)
        self._terminal = []

    def _run(self) -> None:
        while True:
            ways = [way for way in (self._to_board, self._to_host) if way.waiting]
            now = time.monotonic()
            soonest = min((way.next_at(self._byte_s) for way in ways), default=now + 1)
            ends: list[Any] = [self._master, self._board, self._stop]
            ready, _, _ = select.select(ends, [], [], max(soonest - now, 0))
            now = time.monotonic()
            if self._stop in ready:
                return
            if self._master in ready:
                self._to_board.take(os.read(self._master, _CHUNK), now)
                if self._pull_after is not None and self.to_board > self._pull_after:
                    self._unplug()
                    return
            if self._board in ready:
                data = self._board.recv(_CHUNK)
                if not data:
                    return
                self._to_host.take(data, now)
            self._board.sendall(self._to_board.due(now, self._byte_s))
            os.write(self._master, self._to_host.due(now, self._byte_s))
