# SPDX-License-Identifier: Apache-2.0
"""What can go wrong between the host and a board, each with its mend."""

from __future__ import annotations

from boards.errors import ENVIRONMENT, NO, USAGE, CoffretError
from flasher.reasons import Reason


class NoPortError(CoffretError):
    """There is no such port, it is taken, or it went away."""

    def __init__(self, message: str, mend: str = "list what is there: coffret devices") -> None:
        super().__init__(message, mend, ENVIRONMENT)


class NoPermissionError(NoPortError):
    """The system does not let this user at the port, the drive or the USB device."""

    def __init__(self, where: str) -> None:
        super().__init__(
            f"{where}: you may not open it (permission denied)",
            "install the udev rules once: coffret udev --install, then plug the board in again; "
            "or join the group that owns the port (often dialout)",
        )


class PortBusyError(NoPortError):
    """Another program has the port, drive or USB device."""

    def __init__(self, where: str, who: str = "") -> None:
        super().__init__(
            f"{where}: is in use{f' by {who}' if who else ''}",
            "end the program that uses it, then try again",
        )


class GoneError(NoPortError):
    """The board was there and is not any more: cable, power or a reset. Nothing is lost."""

    def __init__(self, where: str, what: str, progress: str = "") -> None:
        super().__init__(
            f"{where}: went away during {what}{progress}",
            "plug the board in again, then repeat the command: it starts from the beginning",
        )
        self.where = where
        self.what = what

    def at(self, done: int, total: int) -> GoneError:
        """The same, with how far the transfer was (bytes)."""
        percent = 100 * done // max(total, 1)
        return GoneError(self.where, self.what, f" ({percent} % were written)")


class VerifyError(CoffretError):
    """The board does not hold what was written to it."""

    def __init__(self, where: str, address: int) -> None:
        super().__init__(
            f"{where}: verification failed: the byte at {address:#010x} is not what was written",
            "try again; if it happens again, the flash is worn out or write-protected",
            NO,
        )


class LockedError(CoffretError):
    """The part is protected: its ROM lets nobody read or write the flash."""

    def __init__(self, where: str, why: str, mend: str) -> None:
        super().__init__(f"{where}: the board is locked: {why}", mend, NO)


class NotServedError(CoffretError):
    """A transport cannot serve a board, with the reason."""

    def __init__(self, message: str, mend: str) -> None:
        super().__init__(message, mend, USAGE)


class DiskFullError(CoffretError):
    """No room for a file on a disk or a board's drive."""

    def __init__(self, path: object) -> None:
        super().__init__(
            f"{path}: there is no room left on that disk",
            "make room there, or name another place, then repeat the command",
            ENVIRONMENT,
        )


class NoAnswerError(CoffretError):
    """Something is at the port but it does not answer SMP in time."""

    def __init__(self, port: str, what: str, seconds: float) -> None:
        super().__init__(
            f"{port}: no answer to {what} within {seconds:g} s",
            "check that the board has power, runs coffret and that no other program uses the port",
            ENVIRONMENT,
        )


class BadAnswerError(CoffretError):
    """The board's answer breaks the protocol; nothing of it was used."""

    def __init__(self, port: str, what: str, why: str) -> None:
        super().__init__(
            f"{port}: the answer to {what} is malformed: {why}",
            "this port is no coffret board, or the board is faulty: do not trust it; flash it anew",
            ENVIRONMENT,
        )


class RefusedError(CoffretError):
    """The board understood and said no. `reason` is known when it judged an image."""

    def __init__(
        self, message: str, mend: str, reason: Reason | None = None, code: int = 0
    ) -> None:
        super().__init__(message, mend, NO)
        self.reason = reason
        self.code = code


class BadFileError(CoffretError):
    """A file that a person named is not what the verb needs."""

    def __init__(self, message: str, mend: str) -> None:
        super().__init__(message, mend, USAGE)


class OtherFileError(CoffretError):
    """A file is not the one that the bundle's reference values pin."""

    def __init__(self, path: object, pinned: bytes) -> None:
        super().__init__(
            f"{path}: is not the file that is attested, SHA-256 {pinned.hex()}",
            "do not use this bundle; build it again",
            NO,
        )


class EmulatorError(CoffretError):
    """The virtual board cannot be made or started, or it died."""

    def __init__(self, message: str, mend: str) -> None:
        super().__init__(message, mend, ENVIRONMENT)
