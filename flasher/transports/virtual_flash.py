# SPDX-License-Identifier: Apache-2.0
"""A virtual board that is off: its flash is a file in its state directory."""

from __future__ import annotations

import os
from pathlib import Path

from boards import Board
from boards.uf2 import Segment
from flasher.errors import BadAnswerError, GoneError, NoPortError, NotServedError
from flasher.state import FLASH_FILE, StateLock, is_running
from flasher.transports.interface import Capabilities, Memory, Progress

_CHUNK = 16 * 1024


class VirtualFlash(Memory):
    """The flash file of a virtual board that does not run; nobody can start it meanwhile."""

    name = "virtual"
    capabilities = Capabilities(
        enters=False, erases=True, verifies="bytes", resets=False, anywhere=True
    )

    def __init__(self, state: Path, board: Board) -> None:
        self.where = str(state)
        self._state = state
        self._flash = board.flash
        self._lock: StateLock | None = None
        self._file: int | None = None

    def enter_boot_loader(self) -> None:
        if self._file is not None:
            return
        if not (self._state / FLASH_FILE).is_file():
            raise NoPortError(f"{self._state}: this directory is no virtual board")
        if is_running(self._state):
            raise NotServedError(
                f"{self._state}: this virtual board runs: its flash is not ours to write",
                "flash it by its port (coffret devices), or stop it first",
            )
        self._lock = StateLock(self._state)
        self._file = os.open(self._state / FLASH_FILE, os.O_RDWR | os.O_CLOEXEC)
        if os.fstat(self._file).st_size != self._flash.size:
            raise BadAnswerError(self.where, "its flash", "the file does not have its size")

    def _at(self, address: int, size: int) -> int:
        offset = address - self._flash.base
        if not 0 <= offset <= offset + size <= self._flash.size:
            raise NotServedError(
                f"{self.where}: {address:#010x} is not in this board's flash",
                "check that this is the right board for the bundle",
            )
        return offset

    def erase(self, address: int, size: int) -> None:
        unit = self._flash.erase_size
        start = self._at(address, size) // unit * unit
        end = -(-(self._at(address, size) + size) // unit) * unit
        self._write(start, b"\xff" * (end - start), "erasing")

    def write_segment(self, segment: Segment, progress: Progress) -> None:
        total = len(segment.data)
        for at in range(0, total, _CHUNK):
            part = segment.data[at : at + _CHUNK]
            self._write(self._at(segment.address + at, len(part)), part, "writing")
            progress(at + len(part), total)

    def _write(self, offset: int, data: bytes, what: str) -> None:
        assert self._file is not None, "enter_boot_loader comes first"
        try:
            os.pwrite(self._file, data, offset)
        except OSError as error:
            raise GoneError(self.where, what) from error

    def read(self, address: int, size: int) -> bytes:
        assert self._file is not None, "enter_boot_loader comes first"
        return os.pread(self._file, size, self._at(address, size))

    def reset(self) -> None:
        """Nobody switches it on but a person: coffret run."""

    def close(self) -> None:
        if self._file is not None:
            os.fsync(self._file)
            os.close(self._file)
            self._file = None
        if self._lock is not None:
            self._lock.release()
            self._lock = None
