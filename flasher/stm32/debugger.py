# SPDX-License-Identifier: Apache-2.0
"""The GDB remote protocol as far as QEMU's stub is needed (GDB manual, appendix E)."""

from __future__ import annotations

import re
import socket
import struct
from dataclasses import dataclass
from enum import IntEnum

STATUS = 25  # the program status register's number
_PIECE = 1024  # bytes of memory a packet; QEMU takes 4,096 characters
_STOPPED = re.compile(rb"T[0-9a-f]{2}(?:thread:[^;]*;)?(?:r|a)?watch:([0-9a-f]+);")


class Watch(IntEnum):
    """What a watchpoint looks at; the numbers are the protocol's."""

    WRITES = 2
    READS = 3
    BOTH = 4


class GoneError(Exception):
    """The emulator has closed the connection."""


class ProtocolError(Exception):
    """The stub answered what it should not."""


@dataclass(slots=True)
class Debugger:
    """One processor behind a connected socket. It is stopped but inside `run`."""

    link: socket.socket
    _seen: bytes = b""

    def run(self) -> int:
        """Lets it run up to a watchpoint; the watchpoint's address. On an Arm it stops before the
        instruction that would make the access.
        """
        answer = self._ask(b"c")
        stopped = _STOPPED.match(answer)
        if stopped is None:
            raise ProtocolError(f"it stopped without a watchpoint: {answer!r}")
        return int(stopped[1], 16)

    def step(self) -> None:
        """One instruction."""
        self._ask(b"s")

    def registers(self) -> tuple[int, ...]:
        """r0 to r15, then the program status."""
        data = bytes.fromhex(self._ask(b"g").decode())
        return (*struct.unpack_from("<16I", data), *struct.unpack_from("<I", data, len(data) - 4))

    def set_register(self, number: int, value: int) -> None:
        self._demand(f"P{number:x}={struct.pack('<I', value).hex()}")

    def start(self) -> None:
        """QEMU sets registers only for those who have asked what it calls them."""
        self._ask(b"qXfer:features:read:target.xml:0,400")

    def read(self, address: int, size: int) -> bytes:
        return bytes.fromhex(self._ask(f"m{address:x},{size:x}".encode()).decode())

    def write(self, address: int, data: bytes) -> None:
        """Read-only memory too; as far as the processor itself might read it."""
        for at in range(0, len(data), _PIECE):
            piece = data[at : at + _PIECE]
            self._demand(f"M{address + at:x},{len(piece):x}:{piece.hex()}")

    def watch(self, address: int, size: int, what: Watch) -> None:
        self._demand(f"Z{what},{address:x},{size:x}")

    def unwatch(self, address: int, size: int, what: Watch) -> None:
        self._demand(f"z{what},{address:x},{size:x}")

    def _demand(self, packet: str) -> None:
        if (answer := self._ask(packet.encode())) != b"OK":
            raise ProtocolError(f"{packet[:40]}: {answer!r}")

    def _ask(self, packet: bytes) -> bytes:
        self._send(packet)
        return self._receive()

    def _send(self, packet: bytes) -> None:
        self.link.sendall(b"$" + packet + b"#%02x" % (sum(packet) & 0xFF))

    def _receive(self) -> bytes:
        while True:
            start, end = self._seen.find(b"$"), self._seen.find(b"#")
            if 0 <= start < end <= len(self._seen) - 3:
                packet, self._seen = self._seen[start + 1 : end], self._seen[end + 3 :]
                self.link.sendall(b"+")
                return packet
            data = self.link.recv(65536)
            if not data:
                raise GoneError
            self._seen += data
