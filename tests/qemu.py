# SPDX-License-Identifier: Apache-2.0
"""Boards under QEMU, for tests: a flash file, an emulator process, its UARTs as sockets."""

from __future__ import annotations

import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from boards.model import Board

UDS_MAGIC = b"CFUDS1\0\0"

needs_qemu = pytest.mark.skipif(
    shutil.which("qemu-system-arm") is None, reason="qemu-system-arm is not installed"
)


@dataclass(slots=True)
class FlashFile:
    """The board's NV flash as the emulator sees it: a file of exactly its size."""

    board: Board
    path: Path

    @classmethod
    def factory(cls, board: Board, path: Path, uds: bytes | None = None) -> FlashFile:
        """An erased flash with a device secret: `uds`, a fresh one if it is None, none if empty."""
        path.write_bytes(b"\xff" * board.flash.size)
        path.chmod(0o600)
        flash = cls(board, path)
        if uds is None:
            uds = secrets.token_bytes(32)
        if uds:
            flash.write(board.flash.secrets.offset, UDS_MAGIC + uds)
        return flash

    def write(self, offset: int, data: bytes) -> None:
        with self.path.open("r+b") as file:
            file.seek(offset)
            file.write(data)

    def read(self, offset: int, length: int) -> bytes:
        with self.path.open("rb") as file:
            file.seek(offset)
            return file.read(length)

    def write_slot(self, slot: int, image: bytes) -> None:
        """The image at the slot's start; the rest of the slot is erased."""
        extent = (self.board.flash.slot_a, self.board.flash.slot_b)[slot]
        self.write(extent.offset, image.ljust(extent.size, b"\xff"))


@dataclass(slots=True)
class Machine:
    """One emulated board, on while the `with` block runs. `port` is the management UART."""

    board: Board
    boot: Path
    flash: FlashFile
    extra: tuple[str, ...] = ()
    port: socket.socket = field(init=False)
    stream: socket.socket = field(init=False)
    _process: subprocess.Popen[bytes] = field(init=False)
    _directory: tempfile.TemporaryDirectory[str] = field(init=False)
    _seen: bytes = field(init=False, default=b"")

    def __enter__(self) -> Self:
        assert self.board.emulator is not None
        self._directory = tempfile.TemporaryDirectory(prefix="coffret-qemu-")
        names = {name: f"{self._directory.name}/{name}" for name in ("port", "stream0")}
        chardevs = {name: f"unix:{path},server=on,wait=on" for name, path in names.items()}
        unconnected = dict.fromkeys(self.board.emulator.further, "null")
        command = self.board.emulator.command(
            boot=str(self.boot), flash=str(self.flash.path), **chardevs, **unconnected
        )
        self._process = subprocess.Popen(
            [*command, *self.extra], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        # The emulator opens one backend after the other and waits at each, so no byte is lost.
        self.port = self._connect(names["port"])
        self.stream = self._connect(names["stream0"])
        return self

    def _connect(self, path: str) -> socket.socket:
        end = time.monotonic() + 60
        while True:
            link = socket.socket(socket.AF_UNIX)
            try:
                link.connect(path)
                return link
            except (FileNotFoundError, ConnectionRefusedError):
                link.close()
                if self._process.poll() is not None or time.monotonic() > end:
                    self._process.kill()
                    assert self._process.stderr is not None
                    raise AssertionError(self._process.stderr.read().decode()) from None
                time.sleep(0.01)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # As if the power was cut: what the flash file holds now is what the next start finds.
        self._process.kill()
        self._process.wait()
        assert self._process.stderr is not None
        self._process.stderr.close()
        self.port.close()
        self.stream.close()
        self._directory.cleanup()

    def send(self, data: bytes) -> None:
        self.port.sendall(data)

    def read_until(self, end: bytes, seconds: float = 60.0) -> bytes:
        """What the port sent up to and with `end`. AssertionError when time is up."""
        deadline = time.monotonic() + seconds
        while end not in self._seen:
            self._receive(deadline, f"no {end!r} within {seconds} s")
        found, _, self._seen = self._seen.partition(end)
        return found + end

    def read_exactly(self, count: int, seconds: float = 60.0) -> bytes:
        """The next `count` bytes from the port. AssertionError with what came, when time is up."""
        deadline = time.monotonic() + seconds
        while len(self._seen) < count:
            self._receive(deadline, f"no {count} bytes within {seconds} s")
        found, self._seen = self._seen[:count], self._seen[count:]
        return found

    def _receive(self, deadline: float, complaint: str) -> None:
        left = deadline - time.monotonic()
        assert left > 0, f"{complaint}; seen {len(self._seen)}: {self._seen[-400:]!r}"
        self.port.settimeout(left)
        try:
            data = self.port.recv(4096)
        except TimeoutError:
            return
        assert data, f"the emulator ended; seen: {self._seen[-400:]!r}"
        self._seen += data

    def stream_left(self, quiet_s: float = 1.0) -> bytes:
        """What stream 0 sent and nobody read, until it is quiet: its driver may lag behind."""
        self.stream.settimeout(quiet_s)
        left = b""
        try:
            while data := self.stream.recv(4096):
                left += data
        except TimeoutError:
            pass
        return left

    def line(self, seconds: float = 60.0) -> str:
        """The next line of text, without its end."""
        return self.read_until(b"\n", seconds).decode().strip()

    def ask(self, command: str, seconds: float = 60.0) -> str:
        """Send one line, read one line."""
        self.send(command.encode() + b"\n")
        return self.line(seconds)
