# SPDX-License-Identifier: Apache-2.0
"""What can go wrong between the host and a board, each with its mend."""

from __future__ import annotations

from boards.errors import ENVIRONMENT, NO, USAGE, CoffretError
from flasher.reasons import Reason


class NoPortError(CoffretError):
    """There is no such port, it is taken, or it went away."""

    def __init__(self, message: str, mend: str = "list what is there: coffret devices") -> None:
        super().__init__(message, mend, ENVIRONMENT)


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


class EmulatorError(CoffretError):
    """The virtual board cannot be made or started, or it died."""

    def __init__(self, message: str, mend: str) -> None:
        super().__init__(message, mend, ENVIRONMENT)
