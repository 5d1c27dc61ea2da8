# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ARG002 - the signatures are the bus's
"""An STM32F405's ROM boot loader, byte for byte: AN3155 on a pseudo-terminal, DfuSe on a USB bus.

No emulator runs that ROM, so this is a simulation. It is held against other people's clients
where there are any (`stm32loader` for AN3155). Its UART can lie as a bad cable does.
"""

from __future__ import annotations

import os
import random
import select
import struct
import threading
import tty
from dataclasses import dataclass, field
from functools import reduce
from types import TracebackType
from typing import Self

from tests.transports.usb_bus import StallError

BASE = 0x0800_0000
SECTORS = [16 * 1024] * 4 + [64 * 1024] + [128 * 1024] * 7
SIZE = sum(SECTORS)
PRODUCT_ID = b"\x04\x13"
ACK, NACK = b"\x79", b"\x1f"
COMMANDS = bytes([0x00, 0x01, 0x02, 0x11, 0x21, 0x31, 0x44, 0x63, 0x73, 0x82, 0x92])


class NorFlash:
    """Flash that only an erase sets back to ones."""

    def __init__(self) -> None:
        self.data = bytearray(b"\x00" * SIZE)

    def erase(self, sector: int) -> None:
        start = sum(SECTORS[:sector])
        self.data[start : start + SECTORS[sector]] = b"\xff" * SECTORS[sector]

    def program(self, address: int, data: bytes) -> None:
        at = address - BASE
        for offset, byte in enumerate(data):
            self.data[at + offset] &= byte

    def holds(self, address: int, size: int) -> bool:
        return BASE <= address <= address + size <= BASE + SIZE


@dataclass(slots=True)
class Faults:
    """What goes wrong on the line: shares of bytes, or at a count of bytes from the host."""

    noise: float = 0.0  # a flipped bit: the ROM sees a parity error and drops the byte
    lost: float = 0.0  # either way
    nack: float = 0.0  # a good block is refused all the same
    hang_after: int | None = None
    pull_after: int | None = None
    random: random.Random = field(default_factory=lambda: random.Random(1))


class SimulatedStm32Uart:
    """The ROM behind a pseudo-terminal at `port`."""

    def __init__(self, faults: Faults | None = None, *, protected: bool = False) -> None:
        self.flash = NorFlash()
        self.faults = faults or Faults()
        self.protected = protected
        self.started_at: int | None = None
        self.received = 0
        self.port = ""

    def __enter__(self) -> Self:
        self._master, slave = os.openpty()
        tty.setraw(slave)
        self.port = os.ttyname(slave)
        self._slave: int | None = slave
        self._stop, self._stopped = os.pipe()
        self._in_step = False
        self.received = 0
        self._thread = threading.Thread(target=self._serve, daemon=True)
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
        if self._slave is not None:
            os.close(self._slave)
            os.close(self._master)
            self._slave = None

    def _serve(self) -> None:
        try:
            while True:
                self._command()
        except (EOFError, OSError):
            return

    def _byte(self) -> int:
        """The next byte that the ROM makes out."""
        while True:
            ready, _, _ = select.select([self._master, self._stop], [], [])
            if self._stop in ready:
                raise EOFError
            (byte,) = os.read(self._master, 1)
            self.received += 1
            faults = self.faults
            if faults.pull_after is not None and self.received > faults.pull_after:
                self._unplug()
                raise EOFError
            if faults.hang_after is not None and self.received > faults.hang_after:
                continue
            if faults.random.random() >= faults.noise + faults.lost:
                return byte

    def _bytes(self, count: int) -> bytes:
        return bytes(self._byte() for _ in range(count))

    def _send(self, data: bytes) -> None:
        kept = bytes(b for b in data if self.faults.random.random() >= self.faults.lost)
        if kept:
            os.write(self._master, kept)

    def _command(self) -> None:
        if not self._in_step:
            if self._byte() == 0x7F:
                self._in_step = True
                self._send(ACK)
            return
        command = self._byte()
        if self._byte() != command ^ 0xFF or command not in COMMANDS:
            self._send(NACK)
            return
        if self.protected and command in (0x11, 0x21, 0x31, 0x44):
            self._send(NACK)
            return
        self._send(ACK)
        work = {0x00: self._get, 0x01: self._version, 0x02: self._id, 0x11: self._read}
        work |= {0x21: self._go, 0x31: self._write, 0x44: self._erase}
        work.get(command, lambda: None)()

    def _get(self) -> None:
        self._send(bytes([len(COMMANDS)]) + b"\x31" + COMMANDS + ACK)

    def _version(self) -> None:
        self._send(b"\x31\x00\x00" + ACK)

    def _id(self) -> None:
        self._send(b"\x01" + PRODUCT_ID + ACK)

    def _refuses(self) -> bool:
        return self.faults.random.random() < self.faults.nack

    def _address(self) -> int | None:
        body = self._bytes(5)
        address = int.from_bytes(body[:4], "big")
        if reduce(lambda a, b: a ^ b, body) or not self.flash.holds(address, 1) or self._refuses():
            self._send(NACK)
            return None
        self._send(ACK)
        return address

    def _read(self) -> None:
        address = self._address()
        if address is None:
            return
        count, check = self._bytes(2)
        if count ^ check != 0xFF or not self.flash.holds(address, count + 1):
            self._send(NACK)
            return
        at = address - BASE
        self._send(ACK + self.flash.data[at : at + count + 1])

    def _write(self) -> None:
        address = self._address()
        if address is None:
            return
        count = self._byte()
        body = self._bytes(count + 2)
        bad = reduce(lambda a, b: a ^ b, body, count) or (count + 1) % 4
        if bad or not self.flash.holds(address, count + 1) or self._refuses():
            self._send(NACK)
            return
        self.flash.program(address, body[:-1])
        self._send(ACK)

    def _erase(self) -> None:
        head = self._bytes(2)
        count = int.from_bytes(head, "big")
        if count >= 0xFFFD:  # special erases: 0xFFFF all, 0xFFFE and 0xFFFD a bank
            body, numbers = head + self._bytes(1), tuple(range(len(SECTORS)))
        else:
            body = head + self._bytes(2 * (count + 1) + 1)
            numbers = struct.unpack(f">{count + 1}H", body[2:-1])
        wrong = any(number >= len(SECTORS) for number in numbers)
        if reduce(lambda a, b: a ^ b, body) or wrong:
            self._send(NACK)
            return
        for number in numbers:
            self.flash.erase(number)
        self._send(ACK)

    def _go(self) -> None:
        self.started_at = self._address()


# The DFU device

IDLE, DNLOAD_SYNC, DNBUSY, DNLOAD_IDLE, MANIFEST, UPLOAD_IDLE, ERROR = 2, 3, 4, 5, 7, 9, 10
ERR_TARGET, ERR_ERASE, ERR_PROG, ERR_ADDRESS, ERR_VENDOR, ERR_STALLED = 1, 4, 6, 8, 0x0B, 0x0F
TRANSFER = 2048
LABELS = (
    "",
    "STMicroelectronics",
    "STM32  BOOTLOADER",
    "3276365D3436",
    "@Internal Flash  /0x08000000/04*016Kg,01*064Kg,07*128Kg",
    "@Option Bytes  /0x1FFFC000/01*016 e",
)


def _interface(alternate: int, label: int) -> bytes:
    return struct.pack("<9B", 9, 4, 0, alternate, 0, 0xFE, 1, 2, label)


class SimulatedStm32Dfu:
    """The USB device: a `usb_bus.Function`. A request does its work at the GETSTATUS behind it."""

    device = struct.pack(
        "<BBHBBBBHHHBBBB", 18, 1, 0x0100, 0, 0, 0, 64, 0x0483, 0xDF11, 0x2200, 1, 2, 3, 1
    )
    _functional = struct.pack("<BBBHHH", 9, 0x21, 0x0B, 255, TRANSFER, 0x011A)
    _body = _interface(0, 4) + _interface(1, 5) + _functional
    configuration = struct.pack("<BBHBBBBB", 9, 2, 9 + len(_body), 1, 1, 0, 0xC0, 50) + _body

    def __init__(self, *, protected: bool = False) -> None:
        self.flash = NorFlash()
        self.protected = protected
        self.started = False
        self._on()

    def _on(self) -> None:
        self._state, self._status = IDLE, 0
        self._pointer = BASE
        self._pending: tuple[int, bytes] | None = None

    def unplugged(self) -> None:
        self._on()

    def string(self, index: int) -> str:
        return LABELS[index]

    def bulk_out(self, endpoint: int, data: bytes) -> None:
        raise StallError

    def bulk_in(self, endpoint: int, size: int, _timeout_ms: int) -> bytes:
        raise StallError

    def clear_halt(self, endpoint: int) -> None:
        """No endpoint but the one for control."""

    def control(self, kind: int, request: int, value: int, index: int, data: bytes | int) -> bytes:
        assert (kind & 0x7F, index) == (0x21, 0)
        if request == 3:
            return self._get_status()
        if request == 5:
            return bytes([self._state])
        if self._state == ERROR and request != 4:
            raise StallError
        if request == 1 and isinstance(data, bytes):
            self._download(value, data)
        elif request == 2 and isinstance(data, int):
            return self._upload(value, data)
        elif request == 4 and self._state == ERROR:
            self._state, self._status = IDLE, 0
        elif request == 6 and self._state in (IDLE, DNLOAD_IDLE, UPLOAD_IDLE, DNLOAD_SYNC):
            self._state = IDLE
        else:
            self._fail(ERR_STALLED)
            raise StallError
        return b""

    def _fail(self, status: int) -> None:
        self._state, self._status, self._pending = ERROR, status, None

    def _download(self, block: int, data: bytes) -> None:
        if self._state not in (IDLE, DNLOAD_IDLE) or block == 1 or len(data) > TRANSFER:
            self._fail(ERR_STALLED)
            raise StallError
        self._pending = (block, data)
        self._state = DNLOAD_SYNC

    def _upload(self, block: int, size: int) -> bytes:
        if self._state not in (IDLE, UPLOAD_IDLE) or block < 2 or size > TRANSFER:
            self._fail(ERR_STALLED)
            raise StallError
        if self.protected:
            self._fail(ERR_VENDOR)
            raise StallError
        self._state = UPLOAD_IDLE
        at = self._pointer - BASE + (block - 2) * TRANSFER
        return bytes(self.flash.data[at : at + size])

    def _get_status(self) -> bytes:
        if self._state == DNLOAD_SYNC and self._pending is not None:
            block, data = self._pending
            if not data:
                self._state, self.started = MANIFEST, True
                return self._answer(0, MANIFEST)
            self._state = DNBUSY
            return self._answer(1, DNBUSY)
        if self._state == DNBUSY and self._pending is not None:
            block, data = self._pending
            self._pending = None
            self._state = DNLOAD_IDLE
            self._work(block, data)
        return self._answer(0, self._state)

    def _answer(self, poll_ms: int, state: int) -> bytes:
        return struct.pack("<B3sBB", self._status, poll_ms.to_bytes(3, "little"), state, 0)

    def _work(self, block: int, data: bytes) -> None:
        if self.protected:
            self._fail(ERR_VENDOR)
        elif block == 0:
            self._special(data)
        else:
            address = self._pointer + (block - 2) * TRANSFER
            if not self.flash.holds(address, len(data)):
                self._fail(ERR_ADDRESS)
            else:
                self.flash.program(address, data)

    def _special(self, data: bytes) -> None:
        command, address = data[0], int.from_bytes(data[1:5], "little")
        if len(data) != 5 or command not in (0x21, 0x41):
            self._fail(ERR_TARGET)
        elif not self.flash.holds(address, 1):
            self._fail(ERR_ADDRESS)
        elif command == 0x21:
            self._pointer = address
        else:
            at = 0
            for number, size in enumerate(SECTORS):
                if at <= address - BASE < at + size:
                    self.flash.erase(number)
                at += size
