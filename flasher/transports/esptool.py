# SPDX-License-Identifier: Apache-2.0
"""Espressif parts, by `esptool` as a process of its own (it is GPL, and stays there)."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from boards.errors import ENVIRONMENT, CoffretError
from boards.uf2 import Segment
from flasher.answers import clean
from flasher.errors import (
    GoneError,
    LockedError,
    NoAnswerError,
    RefusedError,
    VerifyError,
)
from flasher.leash import Leashed
from flasher.transports.interface import Capabilities, Progress, Transport
from flasher.transports.serial_link import port_error

_PERCENT = re.compile(rb"Writing at 0x([0-9a-f]{8}).*?(\d{1,3}(?:\.\d)?)\s?%")
_PATIENCE_S = 12
_ATTEMPTS = "3"
# What esptool says, and what it means; the first that fits counts.
_NO_ANSWER = ("No serial data received", "Failed to connect", "Wrong boot mode")
_GONE = (
    "device disconnected",
    "device reports readiness to read but returned no data",
    "Input/output error",
    "Broken pipe",
    "Connection reset",
    "Device not configured",
    "socket disconnected",
    "The chip stopped responding",
    "Write timeout",
)
_NO_PORT = ("Could not open", "could not open port", "port is busy", "Permission denied")
_LOCKED = ("Secure Download Mode", "Secure Boot", "flash encryption")
_MISMATCH = ("Verification failed", "digest mismatch", "MD5 of file does not match")


class Esptool(Transport):
    """An Espressif part at a serial port (or `socket://`, `rfc2217://`). Addresses: of its flash.

    `reset_by` is esptool's `--before`: how the part gets into its ROM boot loader.
    """

    name = "esptool"
    capabilities = Capabilities(
        enters=True, erases=False, verifies="digest", resets=True, anywhere=True
    )

    def __init__(
        self,
        port: str,
        chip: str = "auto",
        baud: int = 115_200,
        reset_by: str = "default-reset",
        stub: bool = True,
    ) -> None:
        self.where = port
        self._common = ["--chip", chip, "--port", port, "--baud", str(baud)]
        self._reset_by = reset_by
        self._stub = stub

    def enter_boot_loader(self) -> None:
        """Asks for the part's flash: esptool connects anew for every command."""
        require_esptool()
        self._run(["flash-id"], "no-reset", "connecting")

    def erase(self, address: int, size: int) -> None:
        """Writing erases what it needs."""

    def write(self, segments: Sequence[Segment], progress: Progress) -> None:
        self._with_files("write-flash", segments, "writing", progress)

    def verify(self, segment: Segment) -> None:
        """The part hashes its flash; esptool compares."""
        try:
            self._with_files("verify-flash", [segment], "reading back", lambda _d, _t: None)
        except RefusedError as error:
            raise VerifyError(self.where, segment.address) from error

    def reset(self) -> None:
        self._run(["run"], "hard-reset", "starting it")

    def close(self) -> None:
        """Nothing is open between two commands."""

    def _with_files(
        self, verb: str, segments: Sequence[Segment], what: str, progress: Progress
    ) -> None:
        with tempfile.TemporaryDirectory(prefix="coffret-") as folder:
            words = [verb]
            for segment in segments:
                file = Path(folder) / f"{segment.address:x}.bin"
                file.write_bytes(segment.data)
                words += [hex(segment.address), str(file)]
            self._run(words, "no-reset", what, segments, progress)

    def _run(
        self,
        words: list[str],
        after: str,
        what: str,
        segments: Sequence[Segment] = (),
        progress: Progress = lambda _d, _t: None,
    ) -> None:
        command = [sys.executable, "-m", "esptool", *self._common, "--before", self._reset_by]
        command += [
            "--after",
            after,
            "--connect-attempts",
            _ATTEMPTS,
            *([] if self._stub else ["--no-stub"]),
            *words,
        ]
        process = Leashed(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "NO_COLOR": "1", "COLUMNS": "200"},
        )
        try:
            said = self._listen(process, segments, progress)
            code = process.wait(_PATIENCE_S)
        finally:
            process.kill()
        if code:
            raise self._failure(said, what)

    def _listen(self, process: Leashed, segments: Sequence[Segment], progress: Progress) -> str:
        """All that esptool says; `progress` follows the addresses that it names."""
        total = sum(len(segment.data) for segment in segments)
        said, line = b"", b""
        assert process.stdout is not None
        while byte := os.read(process.stdout.fileno(), 256):
            said += byte
            line = (line + byte)[-400:]
            found = list(_PERCENT.finditer(line))
            if found:
                line = line[found[-1].end() :]
                progress(_done(segments, int(found[-1][1], 16)), total)
        if total:
            progress(total, total)
        return said.decode(errors="replace")[-8000:]

    def _failure(self, said: str, what: str) -> CoffretError:
        lines = [line.strip() for line in said.splitlines() if line.strip()]
        fatal = next((line for line in reversed(lines) if "rror" in line), lines[-1:] or [""])
        words = clean(str(fatal if isinstance(fatal, str) else fatal[0]), 200)
        for texts, error in (
            (_MISMATCH, RefusedError(f"{self.where}: {words}", "write it again")),
            (_NO_PORT, port_error(self.where, OSError(words))),
            (_GONE, GoneError(self.where, what)),
            (_NO_ANSWER, NoAnswerError(self.where, what, _PATIENCE_S)),
            (
                _LOCKED,
                LockedError(self.where, words, "its eFuses are burnt: only its owner's key helps"),
            ),
        ):
            if any(text in said for text in texts):
                return error
        return RefusedError(
            f"{self.where}: esptool failed ({what}): {words}",
            "hold BOOT while you press RESET, check the cable, then try again",
        )


def _done(segments: Sequence[Segment], address: int) -> int:
    """Bytes before `address` in the order of the segments."""
    before = 0
    for segment in segments:
        if segment.address <= address < segment.end:
            return before + address - segment.address
        before += len(segment.data)
    return before


def require_esptool() -> None:
    """Raises CoffretError when esptool is not installed."""
    if importlib.util.find_spec("esptool") is None:
        raise CoffretError(
            "esptool is not installed",
            'install it: pip install "coffret[espressif]"',
            ENVIRONMENT,
        )
