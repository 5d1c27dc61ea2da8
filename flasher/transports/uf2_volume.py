# SPDX-License-Identifier: Apache-2.0
"""A boot loader's USB drive: copy a UF2 file, and it programs the flash and leaves.

The drive is a mounted file system with `INFO_UF2.TXT` in it (github.com/microsoft/uf2, README).
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from boards.errors import CoffretError
from boards.uf2 import Segment, write_uf2
from flasher.answers import clean
from flasher.errors import (
    DiskFullError,
    GoneError,
    NoPermissionError,
    NoPortError,
    NotServedError,
)
from flasher.transports.interface import Capabilities, Progress, Transport

INFO = "INFO_UF2.TXT"
FILE = "COFFRET.UF2"
_INFO_MAX = 2048
_CHUNK = 8 * 1024
# What a drive that has just been pulled, or left by itself, answers.
_GONE = (errno.EIO, errno.ENODEV, errno.ENXIO, errno.ENOENT, errno.ENOTCONN, errno.ESTALE)

T = TypeVar("T")


class Uf2Volume(Transport):
    """A mounted drive. `family` and `sector` are the board's (`host.uf2_family`, erase size)."""

    name = "uf2"
    capabilities = Capabilities(
        enters=False, erases=False, verifies="nothing", resets=True, anywhere=True
    )

    def __init__(self, folder: Path, family: int, sector: int) -> None:
        self.where = str(folder)
        self._folder = folder
        self._family = family
        self._sector = sector

    def enter_boot_loader(self) -> None:
        info(self._folder)

    def erase(self, address: int, size: int) -> None:
        """The boot loader erases each sector that it meets."""

    def write(self, segments: Sequence[Segment], progress: Progress) -> None:
        """Copies one file with all segments. Raises DiskFullError."""
        data = write_uf2(segments, self._family, self._sector)
        self._do(lambda: self._copy(data, progress), "writing")

    def _copy(self, data: bytes, progress: Progress) -> None:
        fd = os.open(self._folder / FILE, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            for at in range(0, len(data), _CHUNK):
                part = data[at : at + _CHUNK]
                while part:
                    part = part[os.write(fd, part) :]
                os.fsync(fd)  # to the device now: the progress is the board's, not the cache's
                progress(min(at + _CHUNK, len(data)), len(data))
        finally:
            with contextlib.suppress(OSError):
                os.close(fd)

    def verify(self, segment: Segment) -> None:
        """The drive gives nothing back: whether the board runs what was written, it says itself."""

    def reset(self) -> None:
        """The board resets by itself once it has the whole file."""

    def close(self) -> None:
        """Nothing is open."""

    def _do(self, work: Callable[[], T], what: str) -> T:
        try:
            return work()
        except OSError as error:
            raise _failure(self._folder, error, what) from error


def info(folder: Path) -> dict[str, str]:
    """What the drive says of its board: `Model`, `Board-ID`. Raises NotServedError, NoPortError."""
    try:
        with (folder / INFO).open("rb") as file:
            text = file.read(_INFO_MAX).decode("utf-8", "replace")
    except OSError as error:
        if error.errno == errno.ENOENT and folder.is_dir():
            raise NotServedError(
                f"{folder}: this is no boot loader's drive (there is no {INFO})",
                "name the drive that appears when the board is in its boot loader",
            ) from error
        raise _failure(folder, error, "reading") from error
    pairs = (line.partition(":") for line in text.splitlines() if ":" in line)
    return {clean(key.strip()): clean(value.strip()) for key, _, value in pairs}


def _failure(folder: Path, error: OSError, what: str) -> CoffretError:
    if error.errno in (errno.EACCES, errno.EPERM):
        return NoPermissionError(str(folder))
    if error.errno == errno.EROFS:
        return NoPortError(f"{folder}: is mounted read-only", "mount it so that you can write")
    if error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
        return DiskFullError(folder)
    if error.errno in _GONE or not folder.exists():
        return GoneError(str(folder), what)
    return NoPortError(f"{folder}: {error.strerror}", "eject the drive, plug it in again, repeat")
