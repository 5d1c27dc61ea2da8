# SPDX-License-Identifier: Apache-2.0
"""An ESP32's ROM boot loader on a TCP socket, byte for byte as `esptool` speaks to it.

SLIP frames and commands: Espressif, "Serial Protocol" (esptool documentation). No emulator runs
that ROM from pip; `esptool` itself, unmodified, is the judge of the simulation.
"""

from __future__ import annotations

import hashlib
import socket
import struct
import threading
import zlib
from types import TracebackType
from typing import Self

FLASH_SIZE = 4 * 1024 * 1024
SECTOR = 4096
END, ESCAPE, ESCAPED_END, ESCAPED_ESCAPE = 0xC0, 0xDB, 0xDC, 0xDD
FLASH_BEGIN, FLASH_DATA, FLASH_END, SYNC, WRITE_REG, READ_REG = 2, 3, 4, 8, 9, 10
SPI_SET_PARAMS, SPI_ATTACH, CHANGE_BAUDRATE = 0x0B, 0x0D, 0x0F
DEFL_BEGIN, DEFL_DATA, DEFL_END, MD5 = 0x10, 0x11, 0x12, 0x13
BAD_CHECKSUM, UNKNOWN = 0x07, 0x05
# Registers (ESP32 technical reference manual): the magic value that names the chip, the SPI
# controller's command and first data word, the UART's divider, eFuses with the MAC.
_REGISTERS = {
    0x4000_1000: 0x00F0_1D83,
    0x3FF4_0014: 0x15B,
    0x3FF5_A004: 0xC4A1_B2C3,
    0x3FF5_A008: 0x0000_240A,
}
_SPI_CMD, _SPI_W0 = 0x3FF4_2000, 0x3FF4_2080
_SPI_USR2 = 0x3FF4_2024
_READ_ID, _FLASH_ID = 0x9F, 0x0016_4020
_CHECKSUM_SEED = 0xEF


class SimulatedEsp32:
    """The ROM at `port` (`socket://...`). `pull_after`: bytes it gets until it is gone."""

    def __init__(self, *, silent: bool = False) -> None:
        self.flash = bytearray(b"\x00" * FLASH_SIZE)
        self.pull_after: int | None = None
        self.silent = silent
        self.received = 0
        self.commands: list[int] = []

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = f"socket://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)

    def _accept(self) -> None:
        while True:
            try:
                link, _ = self._listener.accept()
            except OSError:
                return
            with link:
                self._serve(link)

    def _serve(self, link: socket.socket) -> None:
        frame = bytearray()
        inside = escaped = False
        self._registers = dict(_REGISTERS)
        while True:
            try:
                data = link.recv(4096)
            except OSError:
                return
            if not data:
                return
            for byte in data:
                self.received += 1
                if self.pull_after is not None and self.received > self.pull_after:
                    return
                if byte == END:
                    if inside and frame:
                        self._answer(link, bytes(frame))
                    inside, escaped = True, False
                    frame.clear()
                elif escaped:
                    frame.append({ESCAPED_END: END, ESCAPED_ESCAPE: ESCAPE}.get(byte, byte))
                    escaped = False
                elif byte == ESCAPE:
                    escaped = True
                else:
                    frame.append(byte)

    def _answer(self, link: socket.socket, frame: bytes) -> None:
        if self.silent or len(frame) < 8:
            return
        _, command, size, check = struct.unpack_from("<BBHI", frame)
        body = frame[8 : 8 + size]
        self.commands.append(command)
        value, data, error = self._do(command, body, check)
        status = bytes([1 if error else 0, error, 0, 0])
        answer = struct.pack("<BBHI", 1, command, len(data) + 4, value) + data + status
        text = answer.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc")
        # The ROM answers a SYNC eight times.
        link.sendall((b"\xc0" + text + b"\xc0") * (8 if command == SYNC else 1))

    def _do(self, command: int, body: bytes, check: int) -> tuple[int, bytes, int]:
        words = struct.unpack_from(f"<{min(len(body) // 4, 5)}I", body)
        error, value, data = 0, 0x2012_0707 if command == SYNC else 0, b""
        if command == READ_REG:
            value = self._registers.get(words[0], 0)
        elif command == WRITE_REG:
            self._write_register(words[0], words[1])
        elif command in (FLASH_BEGIN, DEFL_BEGIN):
            size, _, _, offset = words[:4]
            self._at, self._inflate = offset, zlib.decompressobj()
            first, last = offset // SECTOR * SECTOR, -(-(offset + size) // SECTOR) * SECTOR
            self.flash[first:last] = b"\xff" * (last - first)
        elif command in (FLASH_DATA, DEFL_DATA):
            error = self._write(command, body[16 : 16 + words[0]], check)
        elif command == MD5:
            found = bytes(self.flash[words[0] : words[0] + words[1]])
            data = hashlib.md5(found, usedforsecurity=False).hexdigest().encode()
        elif command not in (
            SYNC,
            SPI_ATTACH,
            SPI_SET_PARAMS,
            FLASH_END,
            DEFL_END,
            CHANGE_BAUDRATE,
        ):
            error = UNKNOWN
        return value, data, error

    def _write(self, command: int, data: bytes, check: int) -> int:
        seen = _CHECKSUM_SEED
        for byte in data:
            seen ^= byte
        if seen != check:
            return BAD_CHECKSUM
        part = self._inflate.decompress(data) if command == DEFL_DATA else data
        for offset, byte in enumerate(part):
            self.flash[self._at + offset] &= byte
        self._at += len(part)
        return 0

    def _write_register(self, address: int, value: int) -> None:
        if address == _SPI_CMD:  # the transaction is over at once
            read_id = self._registers.get(_SPI_USR2, 0) & 0xFF == _READ_ID
            self._registers[_SPI_W0] = _FLASH_ID if read_id else 0
            return
        self._registers[address] = value
