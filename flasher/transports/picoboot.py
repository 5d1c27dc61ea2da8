# SPDX-License-Identifier: Apache-2.0
"""PICOBOOT, the vendor interface of the RP2040's and RP2350's USB boot loader.

RP2040 data sheet (RP-008371), section 2.8.5; RP2350 data sheet (RP-008373), section 5.6.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator, Sequence
from enum import IntEnum

from boards.errors import CoffretError
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

MAGIC = 0x431FD10B
# magic, token, command, size of its arguments, reserved, length of the data; then 16 bytes.
COMMAND = struct.Struct("<IIBBHI16s")
STATUS = struct.Struct("<IIBB6x")  # token, status, command, in progress
SECTOR, PAGE = 4096, 256
FLASH, FLASH_END = 0x1000_0000, 0x1100_0000
# One command programs so much: the progress is honest, and one sector's worth is lost at most.
_CHUNK = 16 * SECTOR
# An erase of a whole slot, on a chip that needs its longest time: 400 ms a sector (W25Q16JV, 9.6).
_SLOW_MS = 120_000
_INTERFACE_CLASS = (0xFF, 0, 0)
_RESET, _STATUS = 0x41, 0x42
_TO_INTERFACE = 0x41  # vendor request, to an interface, host to device
_REBOOT_DELAY_MS = 200


class Command(IntEnum):
    """Commands; bit 7: the data goes to the host."""

    EXCLUSIVE_ACCESS = 0x01
    REBOOT = 0x02
    FLASH_ERASE = 0x03
    READ = 0x84
    WRITE = 0x05
    EXIT_XIP = 0x06
    REBOOT2 = 0x0A


class Status(IntEnum):
    """What became of the last command."""

    OK = 0
    UNKNOWN_COMMAND = 1
    INVALID_LENGTH = 2
    INVALID_TRANSFER_LENGTH = 3
    INVALID_ADDRESS = 4
    BAD_ALIGNMENT = 5
    INTERLEAVED_WRITE = 6
    REBOOTING = 7
    UNKNOWN_ERROR = 8
    INVALID_STATE = 9
    NOT_PERMITTED = 10
    INVALID_ARGUMENT = 11


_RP2350 = 0x000F
_REFUSED_MEND = "put the board into BOOTSEL mode again and repeat; check that it is the right board"


class Picoboot(Memory):
    """An RP2040 or RP2350 in BOOTSEL mode."""

    name = "picoboot"
    capabilities = Capabilities(
        enters=False, erases=True, verifies="bytes", resets=True, anywhere=True
    )

    def __init__(self, link: UsbLink) -> None:
        self._link = link
        self._token = 0
        self.where = link.where

    @staticmethod
    def interface(link: UsbLink) -> Interface:
        """The PICOBOOT interface of a device. Raises NotServedError: it has none."""
        for interface in link.interfaces():
            ends = interface.endpoint_in and interface.endpoint_out
            if interface.kind == _INTERFACE_CLASS and ends:
                return interface
        raise NotServedError(
            f"{link.where}: this USB device has no PICOBOOT interface",
            "hold BOOTSEL while you plug the board in",
        )

    def enter_boot_loader(self) -> None:
        self._link.claim(self.interface(self._link))
        self._reset_interface()
        # 2: the drive disappears, so that nobody writes to the flash meanwhile.
        self._run(Command.EXCLUSIVE_ACCESS, b"\x02", "exclusive access")
        self._run(Command.EXIT_XIP, b"", "leaving XIP")

    def _in_flash(self, address: int, size: int) -> None:
        """The ROM does not look: an address elsewhere wraps around into the flash."""
        if not FLASH <= address <= address + size <= FLASH_END:
            raise NotServedError(
                f"{self.where}: {address:#010x} is not in the flash of an RP2040 or RP2350",
                "check that this is the right board for the bundle",
            )

    def erase(self, address: int, size: int) -> None:
        self._in_flash(address, size)
        start = address // SECTOR * SECTOR
        end = -(-(address + size) // SECTOR) * SECTOR
        arguments = struct.pack("<II", start, end - start)
        self._run(Command.FLASH_ERASE, arguments, "erasing", timeout_ms=_SLOW_MS)

    def write(self, segments: Sequence[Segment], progress: Progress) -> None:
        """The first page of the flash goes last: without it the ROM starts its own boot loader.

        So a board whose cable was pulled needs no button (RP2040 data sheet, section 2.8.1).
        """
        parts = [part for segment in segments for part in _first_page_apart(segment)]
        super().write(sorted(parts, key=lambda part: part.address == FLASH), progress)

    def write_segment(self, segment: Segment, progress: Progress) -> None:
        self._in_flash(segment.address, len(segment.data))
        if segment.address % PAGE:
            raise ValueError(f"{segment.address:#x} is not the start of a page")
        data = segment.data.ljust(-(-len(segment.data) // PAGE) * PAGE, b"\xff")
        for at in range(0, len(data), _CHUNK):
            part = data[at : at + _CHUNK]
            arguments = struct.pack("<II", segment.address + at, len(part))
            self._run(Command.WRITE, arguments, "writing", part, timeout_ms=_SLOW_MS)
            progress(min(at + len(part), len(segment.data)), len(segment.data))

    def read(self, address: int, size: int) -> bytes:
        found = b""
        while len(found) < size:
            count = min(size - len(found), _CHUNK)
            found += self._read(address + len(found), count)
        return found

    def _read(self, address: int, size: int) -> bytes:
        arguments = struct.pack("<II", address, size)
        return self._run(Command.READ, arguments, "reading back", size=size)

    def reset(self) -> None:
        if self._link.product == _RP2350:
            arguments = struct.pack("<IIII", 0, _REBOOT_DELAY_MS, 0, 0)  # flags: normal boot
            command = Command.REBOOT2
        else:
            arguments = struct.pack("<III", 0, 0, _REBOOT_DELAY_MS)  # from the flash
            command = Command.REBOOT
        # The board may be gone before it has acknowledged.
        with contextlib.suppress(GoneError, NoAnswerError):
            self._run(command, arguments, "rebooting")

    def close(self) -> None:
        self._link.close()

    def _reset_interface(self) -> None:
        with contextlib.suppress(StalledError):
            self._link.control_out(_TO_INTERFACE, _RESET, 0, b"", "resetting the interface")

    def _run(
        self,
        command: Command,
        arguments: bytes,
        what: str,
        data: bytes = b"",
        *,
        size: int = 0,
        timeout_ms: int = 5_000,
    ) -> bytes:
        """One command: its 32 bytes, its data one way, and an empty packet the other way."""
        self._token += 1
        length = size or len(data)
        head = COMMAND.pack(
            MAGIC, self._token, command, len(arguments), 0, length, arguments.ljust(16, b"\0")
        )
        try:
            self._link.bulk_out(head, what, timeout_ms)
            if command & 0x80:
                found = self._all(size, what, timeout_ms)
                self._link.bulk_out(b"", what, timeout_ms)
                return found
            if data:
                self._link.bulk_out(data, what, timeout_ms)
            self._link.bulk_in(1, what, timeout_ms)
        except StalledError as stalled:
            raise self._refused(what) from stalled
        return b""

    def _all(self, size: int, what: str, timeout_ms: int) -> bytes:
        found = b""
        while len(found) < size:
            part = self._link.bulk_in(size - len(found), what, timeout_ms)
            if not part:
                raise BadAnswerError(self.where, what, f"{len(found)} of {size} bytes came")
            found += part
        return found

    def _refused(self, what: str) -> CoffretError:
        """What the device says of the command that it stalled; it is ready again afterwards."""
        try:
            answer = self._link.control_in(_TO_INTERFACE, _STATUS, 0, STATUS.size, "command status")
        except StalledError:
            return BadAnswerError(self.where, what, "it refused, and does not say why")
        if len(answer) != STATUS.size:
            return BadAnswerError(self.where, what, f"a status of {len(answer)} bytes")
        _, code, _, _ = STATUS.unpack(answer)
        self._reset_interface()
        self._link.clear_halt()
        if code == Status.NOT_PERMITTED:
            return LockedError(
                self.where,
                "its boot ROM forbids that (secure boot, or a locked partition)",
                "update it over its own USB port with a signed bundle: coffret flash BUNDLE",
            )
        known = code in set(Status)
        said = Status(code).name.lower().replace("_", " ") if known else f"status {code}"
        return RefusedError(f"{self.where}: the boot ROM refused ({what}): {said}", _REFUSED_MEND)


def _first_page_apart(segment: Segment) -> Iterator[Segment]:
    if segment.address == FLASH:
        yield Segment(FLASH, segment.data[:PAGE])
        segment = Segment(FLASH + PAGE, segment.data[PAGE:])
    if segment.data:
        yield segment
