# SPDX-License-Identifier: Apache-2.0
"""A serial line out of a socket: pumps bytes between the emulator's UARTs and pseudo-terminals.

The emulator's own pty backend holds the last byte of an answer back until more comes, so its UARTs
are sockets and the pseudo-terminals that clients open are made here.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import threading
import tty
from collections.abc import Callable, Iterable

# What is kept for a client that does not read; the oldest bytes go first, as on a serial line.
BACKLOG = 64 * 1024
_CHUNK = 4096

Tap = Callable[[bytes], None]


class Line:
    """One UART: the socket to the emulator, and the pty that others open at `path`.

    `tap`, where given, sees every byte that the board sends, in the pump's thread.
    """

    def __init__(self, tap: Tap | None = None) -> None:
        self.tap = tap
        self.master, self._slave = os.openpty()
        # Raw from the start, and kept open: no echo of what the board says before the first client
        # sets the terminal up, and no hang-up when a client leaves.
        tty.setraw(self._slave)
        os.set_blocking(self.master, False)
        self.path = os.ttyname(self._slave)
        self.link: socket.socket | None = None
        self.to_board = bytearray()
        self.to_client = bytearray()

    def connect(self, link: socket.socket) -> None:
        """Joins a freshly started emulator; what the last one left unsent is gone."""
        link.setblocking(False)
        self.link = link
        self.to_board.clear()
        self.to_client.clear()

    def disconnect(self) -> None:
        """Leaves the emulator; the pty stays, so that clients see a board that is off."""
        if self.link is not None:
            self.link.close()
            self.link = None

    def close(self) -> None:
        """Ends the line; clients get an input/output error."""
        self.disconnect()
        os.close(self.master)
        os.close(self._slave)

    def from_board(self) -> bool:
        """Moves what the emulator has sent; False when it hung up."""
        assert self.link is not None
        try:
            data = self.link.recv(_CHUNK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        if not data:
            return False
        if self.tap is not None:
            self.tap(data)
        self.to_client += data
        del self.to_client[:-BACKLOG]
        self.flush_client()
        return True

    def flush_client(self) -> None:
        """Writes what the terminal takes of `to_client`."""
        with contextlib.suppress(BlockingIOError):
            del self.to_client[: os.write(self.master, self.to_client)]

    def from_client(self) -> None:
        """Moves what a client has written."""
        try:
            self.to_board += os.read(self.master, _CHUNK)
        except BlockingIOError:
            return
        self.flush_board()

    def flush_board(self) -> None:
        """Writes what the emulator takes of `to_board`."""
        assert self.link is not None
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            del self.to_board[: self.link.send(self.to_board)]


class Pump:
    """One thread that serves the lines of one emulator until it hangs up or `stop` is called."""

    def __init__(self, lines: Iterable[Line]) -> None:
        self._lines = tuple(lines)
        self._wake, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="coffret-bridge", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread and waits for it; bytes on their way are lost, as with a pulled cable."""
        self._wake.close()
        self._thread.join()
        self._woken.close()

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._woken, selectors.EVENT_READ)
            open_lines = set(self._lines)
            while open_lines:
                self._interests(selector, open_lines)
                for key, events in selector.select():
                    if key.fileobj is self._woken:
                        return
                    line: Line = key.data
                    if line in open_lines and not _serve(line, key.fd, events):
                        open_lines.discard(line)

    @staticmethod
    def _interests(selector: selectors.BaseSelector, lines: set[Line]) -> None:
        """Listens to a side only while the other can take more: the line's back-pressure."""
        wanted: dict[int, tuple[int, Line]] = {}
        for line in lines:
            assert line.link is not None
            link, master = selectors.EVENT_READ, 0
            if line.to_board:
                link |= selectors.EVENT_WRITE
            else:
                master |= selectors.EVENT_READ
            if line.to_client:
                master |= selectors.EVENT_WRITE
            wanted[line.link.fileno()] = (link, line)
            if master:
                wanted[line.master] = (master, line)
        for fd, key in list(selector.get_map().items()):
            if key.data is not None and fd not in wanted:
                selector.unregister(fd)
        for fd, (events, line) in wanted.items():
            if fd in selector.get_map():
                selector.modify(fd, events, line)
            else:
                selector.register(fd, events, line)


def _serve(line: Line, fd: int, events: int) -> bool:
    """Moves bytes of one ready descriptor; False when the emulator hung up."""
    if fd == line.master:
        if events & selectors.EVENT_WRITE:
            line.flush_client()
        if events & selectors.EVENT_READ:
            line.from_client()
        return True
    if events & selectors.EVENT_WRITE:
        line.flush_board()
    return not events & selectors.EVENT_READ or line.from_board()
