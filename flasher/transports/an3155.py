# SPDX-License-Identifier: Apache-2.0
"""The STM32's ROM boot loader over a UART (ST AN3155; parts and sectors: ST AN2606, RM0090).

Every byte is under even parity, every command and every block under a check byte, so noise is met
by a NACK or by silence; a block is then sent again. Writing the same bytes twice does no harm.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TypeVar

from boards.uf2 import Segment
from flasher.errors import BadAnswerError, GoneError, LockedError, NoAnswerError, NotServedError
from flasher.transports.interface import Capabilities, Memory, Progress
from flasher.transports.serial_link import as_os_error, open_port, receive

T = TypeVar("T")

SYNC, ACK, NACK = 0x7F, 0x79, 0x1F
GET, GET_ID, READ, GO, WRITE, ERASE, EXTENDED_ERASE = 0x00, 0x02, 0x11, 0x21, 0x31, 0x43, 0x44
BLOCK = 256
BAUD = 115_200
_TRIES = 6
_ANSWER_S = 0.5
# A sector of 128 KiB takes up to 4 s to erase (STM32F405 data sheet, table 39).
_ERASE_S = 8.0
_QUIET_S = 0.02
_FILL = 32


@dataclass(frozen=True, slots=True)
class Part:
    """A part by the product id it gives: name, where its flash is, its sectors' sizes in KiB."""

    name: str
    base: int
    sectors: Sequence[int]


# Product ids: AN2606, "Device-dependent boot loader parameters". Sectors: RM0090, table 5.
PARTS = {
    0x413: Part("STM32F40x/41x", 0x0800_0000, (16, 16, 16, 16, 64, *[128] * 7)),
}


class _RefusedError(Exception):
    """NACK."""


class _SilentError(Exception):
    """No byte in time."""


class An3155(Memory):
    """An STM32 whose ROM boot loader listens at a serial port (BOOT0 high at reset)."""

    name = "an3155"
    capabilities = Capabilities(
        enters=True, erases=True, verifies="bytes", resets=True, anywhere=True
    )

    def __init__(self, port: str, baud: int = BAUD, answer_s: float = _ANSWER_S) -> None:
        """Opens the port; `answer_s` is the ROM's time for an answer. Raises NoPortError."""
        self.where = port
        self._answer_s = answer_s
        self._line = open_port(port, baud, even_parity=True)
        self._commands: bytes = b""
        self._part: Part | None = None

    def enter_boot_loader(self) -> None:
        # Many adapters have DTR at reset and RTS at BOOT0; where they go nowhere it does no harm.
        with contextlib.suppress(OSError):
            self._line.rts, self._line.dtr = True, True
            time.sleep(_QUIET_S)
            self._line.dtr = False
            time.sleep(_QUIET_S)
        self._synchronise()
        self._commands = self._get()
        self._part = self._identify()

    @property
    def part(self) -> Part:
        """What the ROM says it is; known once the boot loader was entered."""
        assert self._part is not None, "enter_boot_loader comes first"
        return self._part

    def _synchronise(self) -> None:
        """0x7F sets the ROM's baud rate. One that is in step already answers NACK: good too."""
        for _ in range(_TRIES):
            self._flush()
            self._send(bytes([SYNC]), "synchronising")
            with contextlib.suppress(_SilentError):
                if self._receive(1, "synchronising", self._answer_s)[0] in (ACK, NACK):
                    self._flush()
                    return
        raise NoAnswerError(self.where, "the boot loader's 0x7F", _TRIES * self._answer_s)

    def _get(self) -> bytes:
        """Version and commands."""

        def ask() -> bytes:
            self._command(GET, "get")
            found = self._counted("get")
            self._acknowledged("get")
            return found[1:]

        return self._again(ask, "get")

    def _identify(self) -> Part:
        def ask() -> bytes:
            self._command(GET_ID, "get id")
            found = self._counted("get id")
            self._acknowledged("get id")
            return found

        number = int.from_bytes(self._again(ask, "get id"), "big")
        if number not in PARTS:
            raise NotServedError(
                f"{self.where}: this STM32 (product id {number:#x}) is not known here",
                "use its USB boot loader (dfu) or a debug probe (cmsis-dap)",
            )
        return PARTS[number]

    def erase(self, address: int, size: int) -> None:
        numbers = self._sectors(address, size)

        def ask() -> None:
            if EXTENDED_ERASE in self._commands:
                self._command(EXTENDED_ERASE, "erasing")
                words = (len(numbers) - 1, *numbers)
                body = b"".join(word.to_bytes(2, "big") for word in words)
            else:
                self._command(ERASE, "erasing")
                body = bytes((len(numbers) - 1, *numbers))
            self._send(body + bytes([_check(body)]), "erasing")
            self._acknowledged("erasing", _ERASE_S * len(numbers))

        self._again(ask, "erasing")

    def _sectors(self, address: int, size: int) -> list[int]:
        at, found = self.part.base, []
        for number, kib in enumerate(self.part.sectors):
            if at < address + size and address < at + kib * 1024:
                found.append(number)
            at += kib * 1024
        if not self.part.base <= address <= address + size <= at or not found:
            raise NotServedError(
                f"{self.where}: {address:#010x} is not in the flash of an {self.part.name}",
                "check that this is the right board for the bundle",
            )
        return found

    def write_segment(self, segment: Segment, progress: Progress) -> None:
        total = len(segment.data)
        for at in range(0, total, BLOCK):
            block = segment.data[at : at + BLOCK]
            self._again(lambda: self._write(segment.address + at, block), "writing")  # noqa: B023
            progress(at + len(block), total)

    def _write(self, address: int, block: bytes) -> None:
        data = block.ljust(-(-len(block) // 4) * 4, b"\xff")
        self._command(WRITE, "writing")
        self._address(address, "writing")
        body = bytes([len(data) - 1]) + data
        self._send(body + bytes([_check(body)]), "writing")
        self._acknowledged("writing")

    def read(self, address: int, size: int) -> bytes:
        found = b""
        while len(found) < size:
            count = min(BLOCK, size - len(found))
            at = address + len(found)
            found += self._again(lambda: self._read(at, count), "reading back")  # noqa: B023
        return found

    def _read(self, address: int, count: int) -> bytes:
        self._command(READ, "reading back")
        self._address(address, "reading back")
        body = bytes([count - 1])
        self._send(body + bytes([body[0] ^ 0xFF]), "reading back")
        self._acknowledged("reading back")
        return self._receive(count, "reading back", self._answer_s)

    def reset(self) -> None:
        """Go: the ROM starts what lies at the flash's base."""

        def ask() -> None:
            self._command(GO, "starting it")
            self._address(self.part.base, "starting it")

        self._again(ask, "starting it")

    def close(self) -> None:
        self._line.close()

    # One exchange

    def _again(self, ask: Callable[[], T], what: str) -> T:
        """Repeats an exchange that noise has spoilt. Raises NoAnswerError, BadAnswerError,
        LockedError."""
        failure: Exception = _SilentError()
        for _ in range(_TRIES):
            try:
                return ask()
            except (_RefusedError, _SilentError) as spoilt:
                failure = spoilt
                self._recover(what)
        if isinstance(failure, _SilentError):
            raise NoAnswerError(self.where, what, _TRIES * self._answer_s) from failure
        if what in ("reading back", "writing", "erasing", "starting it"):
            raise LockedError(
                self.where,
                f"its boot ROM refuses {what} (readout or write protection)",
                "take the protection off with ST's tools (this erases the flash), then repeat",
            ) from failure
        raise BadAnswerError(self.where, what, "NACK, again and again") from failure

    def _recover(self, what: str) -> None:
        """Gets the ROM out of a half-heard command, in which it waits for up to 257 bytes more.

        Bytes that make a wrong check byte are answered by a NACK, in whatever state it is; in the
        end it waits for a command, not for the second half of one.
        """
        for count in (1, 1, *[_FILL] * (BLOCK // _FILL + 1)):
            if self._poke(count, what):
                break
        for _ in range(2):
            if self._poke(1, what):
                return

    def _poke(self, count: int, what: str) -> bool:
        """Sends so many bytes that no command has; whether there was an answer."""
        self._flush()
        self._send(bytes([SYNC]) * count, what)
        try:
            self._receive(1, what, _QUIET_S)
        except _SilentError:
            return False
        self._flush()
        return True

    def _command(self, command: int, what: str) -> None:
        self._send(bytes([command, command ^ 0xFF]), what)
        self._acknowledged(what)

    def _address(self, address: int, what: str) -> None:
        body = address.to_bytes(4, "big")
        self._send(body + bytes([_check(body)]), what)
        self._acknowledged(what)

    def _counted(self, what: str) -> bytes:
        """A count less one, then so many bytes."""
        (count,) = self._receive(1, what, self._answer_s)
        return self._receive(count + 1, what, self._answer_s)

    def _acknowledged(self, what: str, seconds: float | None = None) -> None:
        answer = self._receive(1, what, self._answer_s if seconds is None else seconds)[0]
        if answer == ACK:
            return
        raise _RefusedError

    def _send(self, data: bytes, what: str) -> None:
        try:
            with as_os_error():
                self._line.write(data)
                self._line.flush()
        except OSError as error:
            raise self._gone(what) from error

    def _receive(self, count: int, what: str, seconds: float) -> bytes:
        try:
            found = receive(self._line, count, seconds)
        except OSError as error:
            raise self._gone(what) from error
        if len(found) < count:
            raise _SilentError
        return found

    def _flush(self) -> None:
        """Drops what is on its way: the rest of an answer that was given up."""
        try:
            while self._line.in_waiting:
                with as_os_error():
                    self._line.reset_input_buffer()
                time.sleep(_QUIET_S)
        except OSError as error:
            raise self._gone("an exchange") from error

    def _gone(self, what: str) -> GoneError:
        return GoneError(self.where, what)


def _check(body: bytes) -> int:
    """The exclusive or of all bytes; AN3155 section 3."""
    return reduce(lambda one, two: one ^ two, body, 0)
