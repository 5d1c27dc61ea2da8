# SPDX-License-Identifier: Apache-2.0
"""`coffret logs`: the board's own log, as it remembers it."""

from __future__ import annotations

from flasher.answers import LogEntry
from flasher.smp import Board

# The ring on the board holds 2 KiB; an answer that never ends is not a log.
_PAGES = 64


def read(board: Board) -> tuple[LogEntry, ...]:
    """Everything the board still knows, oldest first."""
    entries: list[LogEntry] = []
    start = 0
    for _ in range(_PAGES):
        after, page = board.log(start)
        entries += page
        if not page or after <= start:
            break
        start = after
    return tuple(entries)


def line(entry: LogEntry) -> str:
    """One entry for a person: seconds since reset, who, text."""
    return f"{entry.ms / 1000:>10.3f}  {entry.who:<12}  {entry.text}"
