# SPDX-License-Identifier: Apache-2.0
"""The host's end of one serial line: a socket that somebody else has opened."""

from __future__ import annotations

import contextlib
import socket
from dataclasses import dataclass, field

_CHUNK = 4096
# What waits for a host that does not read; the oldest bytes go first, as on a serial line.
_BACKLOG = 64 * 1024


@dataclass(slots=True)
class Wire:
    """`to_board` is filled from the socket, `to_host` is written to it; neither blocks."""

    link: socket.socket
    to_board: bytearray = field(default_factory=bytearray)
    to_host: bytearray = field(default_factory=bytearray)

    @classmethod
    def inherited(cls, fd: int) -> Wire:
        """The line behind a file descriptor that this process was given."""
        link = socket.socket(fileno=fd)
        link.setblocking(False)
        return cls(link)

    def receive(self) -> bool:
        """Takes what the host has sent; False when it hung up."""
        if len(self.to_board) >= _CHUNK:
            return True  # it waits in the socket until the board has taken some
        try:
            data = self.link.recv(_CHUNK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self.to_board += data
        return bool(data)

    def send(self) -> None:
        """Writes what the socket takes."""
        del self.to_host[:-_BACKLOG]
        if self.to_host:
            with contextlib.suppress(BlockingIOError, BrokenPipeError):
                del self.to_host[: self.link.send(self.to_host)]
