# SPDX-License-Identifier: Apache-2.0
"""A board made of Python at a pseudo-terminal: honest by default, hostile where a test says so.

It frames SMP by itself (mcumgr's console framing), so that the client is not tested against itself.
"""

from __future__ import annotations

import base64
import os
import select
import struct
import threading
import tty
from binascii import crc_hqx
from collections.abc import Callable
from types import TracebackType
from typing import Self

import cbor2

READ, READ_RESPONSE, WRITE, WRITE_RESPONSE = range(4)
HEADER = struct.Struct(">BBHHBB")
LINE_BYTES = 93

Request = tuple[int, int, int, dict[str, object]]
Handler = Callable[[dict[str, object]], dict[str, object]]
Command = tuple[int, int, int]  # operation, group, command

OS_ECHO, OS_RESET, OS_PARAMETERS, OS_BOOTLOADER = 0, 5, 6, 8


def frame(message: bytes) -> bytes:
    """A message in lines as they go over the wire."""
    body = struct.pack(">H", len(message) + 2) + message + struct.pack(">H", crc_hqx(message, 0))
    text = b""
    for offset in range(0, len(body), LINE_BYTES):
        mark = b"\x06\x09" if offset == 0 else b"\x04\x14"
        text += mark + base64.b64encode(body[offset : offset + LINE_BYTES]) + b"\n"
    return text


class FakeBoard:
    """Serves `handlers`; `raw`, where given, answers every request with bytes as they are.

    `asked` is every request that came: (operation, group, command, payload).
    """

    def __init__(
        self,
        handlers: dict[Command, Handler] | None = None,
        *,
        raw: Callable[[bytes], bytes] | None = None,
    ) -> None:
        self.handlers: dict[Command, Handler] = {
            (READ, 0, OS_PARAMETERS): lambda _: {"buf_size": 2048, "buf_count": 1},
            (WRITE, 0, OS_ECHO): lambda payload: {"r": payload["d"]},
            (WRITE, 0, OS_RESET): lambda _: {},
            (READ, 0, OS_BOOTLOADER): lambda _: {"bootloader": "coffret", "mode": "application"},
            **(handlers or {}),
        }
        self.raw = raw
        self.asked: list[Request] = []
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.port = os.ttyname(self._slave)
        self._stop, self._stopped = os.pipe()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
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
        for fd in (self._master, self._slave, self._stop):
            os.close(fd)

    def _serve(self) -> None:
        pending = b""
        body = b""
        while True:
            ready, _, _ = select.select([self._master, self._stop], [], [])
            if self._stop in ready:
                return
            pending += os.read(self._master, 4096)
            *lines, pending = pending.split(b"\n")
            for line in lines:
                body = (b"" if line.startswith(b"\x06\x09") else body) + base64.b64decode(line[2:])
                if len(body) >= 2 and len(body) >= 2 + struct.unpack_from(">H", body)[0]:
                    self._write(self._answer(body[2:-2]))
                    body = b""

    def _write(self, data: bytes) -> None:
        os.set_blocking(self._master, False)
        while data:
            ready, writable, _ = select.select([self._stop], [self._master], [])
            if ready:
                return
            if writable:
                data = data[os.write(self._master, data) :]

    def _answer(self, message: bytes) -> bytes:
        version_op, _, _, group, _, command = HEADER.unpack_from(message)
        operation = version_op & 7
        payload = cbor2.loads(message[HEADER.size :])
        self.asked.append((operation, group, command, payload))
        if self.raw is not None:
            return self.raw(message)
        handler = self.handlers.get((operation, group, command))
        answer = {"rc": 8} if handler is None else handler(payload)
        return frame(reply(message, cbor2.dumps(answer)))


def reply(request: bytes, payload: bytes, **changes: int) -> bytes:
    """An answer to `request`; `changes` are header fields to get wrong."""
    version_op, _, _, group, sequence, command = HEADER.unpack_from(request)
    fields = {
        "version_op": version_op + 1,
        "length": len(payload),
        "group": group,
        "sequence": sequence,
        "command": command,
        **changes,
    }
    return (
        HEADER.pack(
            fields["version_op"],
            0,
            fields["length"],
            fields["group"],
            fields["sequence"],
            fields["command"],
        )
        + payload
    )
