# SPDX-License-Identifier: Apache-2.0
"""A virtual board: an emulator, a file that is its flash, and a pseudo-terminal for each UART."""

from __future__ import annotations

import importlib.util
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from boards import Board
from boards.host import Emulator
from flasher.bridge import Line, Pump, Tap
from flasher.errors import BadFileError, EmulatorError
from flasher.leash import Leashed
from flasher.state import FLASH_FILE, Run, StateLock, announce, runtime_root, withdraw

UDS_MAGIC = b"CFUDS1\0\0"
UDS_BYTES = 32
_BLANK = 1 << 20
LOG_FILE = "emulator.log"
# An emulator that does not like its arguments or its files says so and ends within this.
_EARLY_DEATH_S = 0.1
_NAME = re.compile(r"[^A-Za-z0-9_.-]+")


# Where an emulator that is a module of ours is found.
_ROOT = Path(__file__).parent.parent


def make_flash(board: Board, path: Path, slot_a: bytes | None, boot: bytes | None = None) -> None:
    """Makes the board's flash as the factory does: a fresh secret, and slot A unless it is None.

    `boot` goes where the board has it, if that is in this flash. The file has the flash's size
    (erased bytes 0xFF) and mode 0600. Raises BadFileError when the image does not fit.
    """
    flash = board.flash
    if slot_a is not None and len(slot_a) > flash.slot_a.size:
        raise BadFileError(
            f"slot A: the image has {len(slot_a)} bytes, the slot {flash.slot_a.size}",
            "see what takes the room: coffret inspect BUNDLE",
        )
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    fd = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "r+b") as file:
        for start in range(0, flash.size, _BLANK):
            file.write(b"\xff" * min(_BLANK, flash.size - start))
        file.seek(flash.secrets.offset)
        file.write(UDS_MAGIC + secrets.token_bytes(UDS_BYTES))
        if slot_a is not None:
            file.seek(flash.slot_a.offset)
            file.write(slot_a)
        if boot is not None and board.boot_in_flash:
            file.seek(board.memory.boot.base - flash.base)
            file.write(boot)
    temporary.replace(path)


def require_emulator(emulator: Emulator) -> None:
    """Raises EmulatorError, which names the first program or package that is not installed."""
    programs = emulator.programs if emulator.in_python else (emulator.program,)
    for program in programs:
        if shutil.which(program) is None:
            raise EmulatorError(
                f"{program} is not installed",
                f"install it (Debian, Ubuntu: apt install {program}), or run ./dev once",
            )
    for package in emulator.packages:
        if importlib.util.find_spec(package) is None:
            raise EmulatorError(
                f"the board's emulator is not installed: no package {package}",
                'install it: pip install "coffret[pico]"',
            )


class VirtualBoard:
    """One virtual board in its state directory: a context manager, or `start` and `close`.

    `boot` is the boot's ELF; a board that boots from its flash does not look at it. `taps` see what
    the board's streams send (stream 0 first), `port_tap` what it sends on the management port.
    `extra` goes to the emulator as it is: what else is soldered on, such as a sensor.
    Raises EmulatorError: no emulator, or it died at once.
    """

    def __init__(
        self,
        board: Board,
        boot: Path,
        state: Path,
        *,
        appliance: str = "",
        version: str = "",
        taps: Sequence[Tap] = (),
        port_tap: Tap | None = None,
        root: Path | None = None,
        extra: Sequence[str] = (),
    ) -> None:
        if board.emulator is None:
            raise EmulatorError(
                f"board {board.name} has no emulator",
                "choose one that has: coffret boards",
            )
        self.board = board
        self.boot = boot.resolve()
        self.state = state.resolve()
        self._root = runtime_root() if root is None else root
        self._lock = StateLock(self.state)
        self._port = Line(port_tap)
        self._streams = tuple(
            Line(taps[number] if number < len(taps) else None)
            for number in range(len(board.stream))
        )
        self._extra = tuple(extra)
        self._further = tuple(Line() for _ in board.emulator.further)
        self._pump: Pump | None = None
        self._process: Leashed | None = None
        for number, line in enumerate(self._lines):
            self._link(f"port{number}", line)
        self.run = Run(
            name=_NAME.sub("-", self.state.name),
            board=board.name,
            appliance=appliance,
            version=version,
            pid=os.getpid(),
            state=str(self.state),
            port=self._port.path,
            streams=tuple(line.path for line in self._streams),
        )

    def _link(self, name: str, line: Line) -> None:
        link = self.state / name
        link.unlink(missing_ok=True)
        link.symlink_to(line.path)

    @property
    def _lines(self) -> tuple[Line, ...]:
        return (self._port, *self._streams, *self._further)

    def further(self, name: str) -> str:
        """The pseudo-terminal of a line beside port and streams. Raises ValueError: none so."""
        assert self.board.emulator is not None
        return self._further[self.board.emulator.further.index(name)].path

    @property
    def port(self) -> str:
        """The pseudo-terminal that speaks SMP."""
        return self._port.path

    @property
    def flash(self) -> Path:
        """The file that is the board's flash; its bytes are current at every moment."""
        return self.state / FLASH_FILE

    def start(self) -> Self:
        """Switches the board on. Its flash is what the file holds."""
        assert self._process is None, "the board is on"
        assert self.board.emulator is not None
        require_emulator(self.board.emulator)
        lines = self._lines
        with ExitStack() as ends:
            theirs = []
            for line in lines:
                ours, other = socket.socketpair()
                ends.enter_context(other)
                theirs.append(other)
                line.connect(ours)
            self._process = self._spawn(tuple(end.fileno() for end in theirs))
        self._pump = Pump(lines)
        self._die_if_dead()
        announce(self._root, self.run)
        return self

    def _spawn(self, fds: tuple[int, ...]) -> Leashed:
        emulator = self.board.emulator
        assert emulator is not None
        streams = (f"stream{number}" for number in range(len(self._streams)))
        lines = dict(zip(("port", *streams, *emulator.further), fds, strict=True))
        files = {"boot": str(self.boot), "flash": str(self.flash)}
        if emulator.in_python:
            _, *command = emulator.command(**files, **{n: str(fd) for n, fd in lines.items()})
            command.insert(0, sys.executable)
        else:
            command = [*emulator.command(**files, **{name: f"chardev:{name}" for name in lines})]
            for name, fd in lines.items():
                command += ["-chardev", f"socket,id={name},fd={fd}"]
        with (self.state / LOG_FILE).open("wb") as log:
            return Leashed(
                [*command, *self._extra],
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=fds,
                cwd=_ROOT if emulator.in_python else None,
            )

    def _die_if_dead(self) -> None:
        assert self._process is not None
        try:
            code = self._process.wait(_EARLY_DEATH_S)
        except subprocess.TimeoutExpired:
            return
        said = self._last_words()
        self.stop()
        raise EmulatorError(
            f"the emulator ended at once with status {code}: {said or 'it said nothing'}",
            "check the emulator's version with: coffret boards show " + self.board.name,
        )

    def _last_words(self) -> str:
        text = (self.state / LOG_FILE).read_bytes()[-2000:].decode(errors="replace")
        lines = [line for line in text.splitlines() if line.strip()]
        return lines[-1] if lines else ""

    def wait(self) -> str:
        """Blocks until the emulator ends; what it said last."""
        assert self._process is not None
        self._process.wait()
        return self._last_words()

    def stop(self) -> None:
        """Pulls the plug: RAM is lost, the flash file keeps what was programmed."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
        if self._pump is not None:
            self._pump.stop()
            self._pump = None
        self._disconnect()
        withdraw(self._root, self.run)

    def _disconnect(self) -> None:
        for line in self._lines:
            line.disconnect()

    def power_cycle(self) -> None:
        """Off and on again."""
        self.stop()
        self.start()

    def close(self) -> None:
        """Switches the board off and gives its ports and its directory back."""
        self.stop()
        for number, line in enumerate(self._lines):
            (self.state / f"port{number}").unlink(missing_ok=True)
            line.close()
        self._lock.release()

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
