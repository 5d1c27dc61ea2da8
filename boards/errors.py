# SPDX-License-Identifier: Apache-2.0
"""The one base of every error that is meant for a person."""

from __future__ import annotations

NO = 1
USAGE = 2
ENVIRONMENT = 3


class CoffretError(Exception):
    """An error with its mend.

    `message` says what is wrong and where (file, line, key), `mend` what to do about it,
    `exit_code` is 1 (the answer is no), 2 (usage or manifest) or 3 (environment).
    """

    def __init__(self, message: str, mend: str, exit_code: int = USAGE) -> None:
        super().__init__(message)
        self.message = message
        self.mend = mend
        self.exit_code = exit_code

    def text(self) -> str:
        """What the front door prints on stderr."""
        return f"error: {self.message}" + (f"\nmend: {self.mend}" if self.mend else "")
