# SPDX-License-Identifier: Apache-2.0
"""USB DFU with ST's extensions (DfuSe), as the STM32's ROM boot loader speaks it.

USB DFU 1.1 (section 3: requests; appendix A.1: states), ST AN3156 (commands), UM0424 (memory map in
the interface's name).
"""

from __future__ import annotations

import contextlib
import re
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from boards.uf2 import Segment
from flasher.errors import (
    BadAnswerError,
    GoneError,
    LockedError,
    NoAnswerError,
    NotServedError,
    RefusedError,
)
from flasher.transports.interface import Capabilities, Memory, Progress
from flasher.transports.usb_link import Interface, StalledError, UsbLink

DNLOAD, UPLOAD, GETSTATUS, CLRSTATUS, GETSTATE, ABORT = 1, 2, 3, 4, 5, 6
SET_ADDRESS, ERASE = 0x21, 0x41
STATUS = struct.Struct("<B3sBB")  # status, poll time (ms, 24 bits), state, string
DFU_MODE = (0xFE, 1, 2)
_CLASS_REQUEST = 0x21  # to an interface
# The functional descriptor's wTransferSize of every STM32 ROM (AN3156, section 4).
TRANSFER = 2048
_BLOCK_0 = 2  # data blocks count from 2; 0 is for commands
_POLL_MAX_MS, _PATIENCE_S = 30_000, 40.0


class State(IntEnum):
    """USB DFU 1.1, appendix A.1."""

    IDLE = 2
    DNLOAD_SYNC = 3
    DNBUSY = 4
    DNLOAD_IDLE = 5
    MANIFEST_SYNC = 6
    MANIFEST = 7
    MANIFEST_WAIT_RESET = 8
    UPLOAD_IDLE = 9
    ERROR = 10


# USB DFU 1.1, section 6.1.2.
_STATUS_WORDS = {
    1: "the file is not for this device",
    3: "it could not write",
    4: "it could not erase",
    5: "it was not erased",
    6: "it could not program",
    7: "what it programmed is not what it read back",
    8: "the address is out of range",
    0x0B: "vendor error: readout or write protection",
    0x0F: "it stalled an unexpected request",
}
_ERR_VENDOR = 0x0B


@dataclass(frozen=True, slots=True)
class Sectors:
    """Equal sectors one behind the other; bytes. What one may do with them."""

    base: int
    size: int
    count: int
    readable: bool
    erasable: bool
    writable: bool

    @property
    def end(self) -> int:
        """First address behind them."""
        return self.base + self.size * self.count


_UNITS = {" ": 1, "B": 1, "K": 1024, "M": 1024 * 1024}
_AREA = re.compile(r"(\d{1,4})\*(\d{1,4})([ BKM])([a-g])")
_AREAS_MAX = 64


def memory_map(label: str) -> tuple[Sectors, ...]:
    """The memory in an interface's name, as UM0424 section 10.3.2 writes it. Raises ValueError.

    `@Internal Flash  /0x08000000/04*016Kg,01*064Kg,07*128Kg`
    """
    name, *parts = label.split("/")
    if not name.startswith("@") or not parts or len(parts) % 2:
        raise ValueError(f"not a memory map: {label!r}")
    found: list[Sectors] = []
    for base, areas in zip(parts[::2], parts[1::2], strict=True):
        if not re.fullmatch(r"0x[0-9A-Fa-f]{1,8}", base.strip()):
            raise ValueError(f"not an address: {base!r}")
        at = int(base, 16)
        for area in areas.split(","):
            match = _AREA.fullmatch(area.strip(" ") if area.strip(" ")[-2:-1] != "" else area)
            if match is None or len(found) == _AREAS_MAX:
                raise ValueError(f"not sectors: {area!r}")
            bits = ord(match[4]) - ord("a") + 1
            sectors = Sectors(
                at,
                int(match[2]) * _UNITS[match[3]],
                int(match[1]),
                readable=bool(bits & 1),
                erasable=bool(bits & 2),
                writable=bool(bits & 4),
            )
            if not sectors.size or not sectors.count or sectors.end > 1 << 32:
                raise ValueError(f"not sectors: {area!r}")
            found.append(sectors)
            at = sectors.end
    return tuple(found)


class Dfu(Memory):
    """An STM32 in its ROM's DFU mode (BOOT0 high at reset)."""

    name = "dfu"
    capabilities = Capabilities(
        enters=False, erases=True, verifies="bytes", resets=True, anywhere=True
    )

    def __init__(self, link: UsbLink) -> None:
        self._link = link
        self._map: tuple[Sectors, ...] = ()
        self.where = link.where

    @staticmethod
    def interface(link: UsbLink) -> Interface:
        """The interface of the internal flash. Raises NotServedError: there is none."""
        for interface in link.interfaces():
            if interface.kind == DFU_MODE and interface.label.startswith("@Internal Flash"):
                return interface
        raise NotServedError(
            f"{link.where}: this USB device has no internal flash to offer by DFU",
            "set BOOT0 and reset the board; see its manual for the button or jumper",
        )

    def enter_boot_loader(self) -> None:
        interface = self.interface(self._link)
        try:
            self._map = memory_map(interface.label)
        except ValueError as error:
            raise BadAnswerError(self.where, "memory map", str(error)) from error
        self._link.claim(interface)
        self._idle()

    def _idle(self) -> None:
        """Whatever was half done before is dropped."""
        for _ in range(3):
            _, state = self._status()
            if state == State.IDLE:
                return
            if state == State.ERROR:
                self._out(CLRSTATUS, 0, b"", "clearing an error")
            else:
                self._out(ABORT, 0, b"", "aborting")
        raise BadAnswerError(self.where, "abort", "it does not become idle")

    def erase(self, address: int, size: int) -> None:
        for sector in self._sectors(address, size):
            self._command(struct.pack("<BI", ERASE, sector), "erasing")

    def _sectors(self, address: int, size: int) -> Iterator[int]:
        wanted = address
        for area in self._map:
            for at in range(area.base, area.end, area.size):
                if at < address + size and wanted < at + area.size and at <= wanted:
                    if not (area.erasable and area.writable):
                        raise self._protected(f"the sector at {at:#010x}")
                    yield at
                    wanted = at + area.size
        if wanted < address + size:
            raise NotServedError(
                f"{self.where}: {wanted:#010x} is not in this board's flash",
                "check that this is the right board for the bundle",
            )

    def write_segment(self, segment: Segment, progress: Progress) -> None:
        self._command(struct.pack("<BI", SET_ADDRESS, segment.address), "writing")
        total = len(segment.data)
        for number, at in enumerate(range(0, total, TRANSFER)):
            part = segment.data[at : at + TRANSFER]
            self._download(_BLOCK_0 + number, part, "writing")
            progress(at + len(part), total)
        self._idle()

    def read(self, address: int, size: int) -> bytes:
        self._command(struct.pack("<BI", SET_ADDRESS, address), "reading back")
        self._idle()
        found, number = b"", _BLOCK_0
        while len(found) < size:
            count = min(TRANSFER, size - len(found))
            try:
                part = self._link.control_in(_CLASS_REQUEST, UPLOAD, number, count, "reading back")
            except StalledError as stalled:
                raise self._failed("reading back") from stalled
            if len(part) != count:
                raise BadAnswerError(self.where, "reading back", f"{len(part)} of {count} bytes")
            found += part
            number += 1
        self._idle()
        return found

    def reset(self) -> None:
        """Leaves DFU mode: the ROM starts what lies at the flash's base."""
        self._command(struct.pack("<BI", SET_ADDRESS, self._map[0].base), "starting it")
        # The device may be gone before the last answer.
        with contextlib.suppress(GoneError, NoAnswerError, StalledError):
            self._out(DNLOAD, 0, b"", "starting it")
            self._status()

    def close(self) -> None:
        self._link.close()

    # Requests

    def _command(self, body: bytes, what: str) -> None:
        self._idle()
        self._download(0, body, what)

    def _download(self, block: int, data: bytes, what: str) -> None:
        try:
            self._out(DNLOAD, block, data, what)
        except StalledError as stalled:
            raise self._failed(what) from stalled
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            status, state = self._status(wait=True)
            if status or state == State.ERROR:
                raise self._failed(what, status)
            if state == State.DNLOAD_IDLE:
                return
            if state not in (State.DNBUSY, State.DNLOAD_SYNC):
                raise BadAnswerError(self.where, what, f"state {state}")
            if time.monotonic() > deadline:
                raise NoAnswerError(self.where, what, _PATIENCE_S)

    def _status(self, *, wait: bool = False) -> tuple[int, int]:
        """Status and state; `wait`: for as long as the device wants before the next question."""
        try:
            answer = self._link.control_in(_CLASS_REQUEST, GETSTATUS, 0, STATUS.size, "status")
        except StalledError as stalled:
            raise BadAnswerError(self.where, "status", "it refused the question") from stalled
        if len(answer) != STATUS.size:
            raise BadAnswerError(self.where, "status", f"{len(answer)} bytes")
        status, poll, state, _ = STATUS.unpack(answer)
        milliseconds = int.from_bytes(poll, "little")
        if wait and state in (State.DNBUSY, State.DNLOAD_SYNC):
            time.sleep(min(milliseconds, _POLL_MAX_MS) / 1000)
        return status, state

    def _out(self, request: int, value: int, data: bytes, what: str) -> None:
        self._link.control_out(_CLASS_REQUEST, request, value, data, what)

    def _failed(self, what: str, status: int | None = None) -> LockedError | RefusedError:
        """What the device says of a request that it refused; it is idle again afterwards."""
        if status is None:
            status, _ = self._status()
        with contextlib.suppress(StalledError, BadAnswerError):
            self._idle()
        if status == _ERR_VENDOR:
            return self._protected(what)
        said = _STATUS_WORDS.get(status, f"status {status}")
        return RefusedError(
            f"{self.where}: the boot ROM refused ({what}): {said}",
            "reset the board into DFU mode again and repeat; check that it is the right board",
        )

    def _protected(self, what: str) -> LockedError:
        return LockedError(
            self.where,
            f"its boot ROM refuses {what} (readout or write protection)",
            "take the protection off with ST's tools (this erases the flash), then repeat",
        )
