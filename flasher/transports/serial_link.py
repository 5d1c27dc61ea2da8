# SPDX-License-Identifier: Apache-2.0
"""Opening a serial port, with errors that say what to do: not there, in use, not allowed."""

from __future__ import annotations

import errno
import os
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import serial

from boards.errors import CoffretError
from flasher.errors import NoPermissionError, NoPortError, PortBusyError

_WRITE_S = 5.0
_SLICE_S = 0.01


def open_port(port: str, baud: int, *, even_parity: bool = False) -> serial.Serial:
    """An exclusively opened port, 8 data bits. Raises NoPortError and its kin."""
    try:
        return serial.Serial(
            port,
            baud,
            parity=serial.PARITY_EVEN if even_parity else serial.PARITY_NONE,
            exclusive=True,
            timeout=_SLICE_S,
            write_timeout=_WRITE_S,
        )
    except (OSError, ValueError) as error:
        raise port_error(port, error) from error


@contextmanager
def as_os_error() -> Iterator[None]:
    """pyserial lets `termios.error` through, which is no OSError."""
    try:
        yield
    except termios.error as error:
        raise OSError(*error.args) from error


def receive(line: serial.Serial, count: int, seconds: float) -> bytes:
    """Up to `count` bytes that come within `seconds`. Raises OSError.

    A port's own timeout stays as it is: changing it sets the whole port up again.
    """
    deadline = time.monotonic() + seconds
    found = b""
    while len(found) < count:
        part = line.read(count - len(found))
        if not part and time.monotonic() > deadline:
            break
        found += part
    return found


def port_error(port: str, failure: BaseException) -> CoffretError:
    """Why a port cannot be opened."""
    number = getattr(failure, "errno", None)
    if number == errno.ENOENT or (not port.startswith("COM") and not Path(port).exists()):
        return NoPortError(f"{port}: there is no such port")
    if number in (errno.EACCES, errno.EPERM):
        return NoPermissionError(port)
    if number in (errno.EBUSY, errno.EAGAIN, errno.EWOULDBLOCK) or "lock" in str(failure):
        return PortBusyError(port, user_of(port))
    if number in (errno.EIO, errno.ENXIO, errno.ENODEV):
        return NoPortError(f"{port}: nothing is behind this port any more")
    if getattr(failure.__context__, "args", ())[:1] == (errno.ENOTTY,):
        return NoPortError(f"{port}: is not a serial port")
    return NoPortError(f"{port}: cannot be opened ({os.strerror(number) if number else failure})")


def user_of(port: str) -> str:
    """The program that has the port open, `NAME (PID)`; "" when the system does not tell."""
    target = Path(port).resolve()
    for process in Path("/proc").glob("[0-9]*"):
        if process.name == str(os.getpid()):
            continue
        with suppress(OSError):
            for handle in (process / "fd").iterdir():
                with suppress(OSError):
                    if handle.readlink() == target:
                        name = (process / "comm").read_text().strip()
                        return f"{name} ({process.name})"
    return ""
