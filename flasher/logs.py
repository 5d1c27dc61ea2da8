# SPDX-License-Identifier: Apache-2.0
"""`coffret logs`: the board's own log, as it remembers it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from flasher.answers import LogEntry
from flasher.errors import BadFileError
from flasher.smp import Board
from flasher.state import write_atomically

# The ring on the board holds 2 KiB; an answer that never ends is not a log.
_PAGES = 64
_FILE_MAX = 1 << 20


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


class _File(BaseModel):
    """A saved log as it stands in its file."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    image: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    entries: list[LogEntry]


@dataclass(frozen=True, slots=True)
class Dump:
    """A log, and which image (its SHA-256, hex) the board ran that wrote it."""

    image: str
    entries: tuple[LogEntry, ...]

    @classmethod
    def of(cls, board: Board) -> Dump:
        """A running board's."""
        running = [image for image in board.images() if image.active]
        if len(running) != 1:
            mend = "a board in recovery has no log; let it start its image"
            raise BadFileError("the board does not say which image it runs", mend)
        return cls(running[0].digest.hex(), read(board))

    @classmethod
    def load(cls, path: Path) -> Dump:
        """From a file. Raises BadFileError."""
        with path.open("rb") as file:
            data = file.read(_FILE_MAX + 1)
        try:
            if len(data) > _FILE_MAX:
                raise ValueError("it is too long")
            found = _File.model_validate_json(data)
        except (ValueError, ValidationError) as error:
            what = f"{path}: is no saved log: {str(error).splitlines()[0]}"
            raise BadFileError(what, "make one with `coffret logs --save FILE`") from None
        return cls(found.image, tuple(found.entries))

    def save(self, path: Path) -> None:
        """Into a file, as JSON."""
        document = {"image": self.image, "entries": [asdict(entry) for entry in self.entries]}
        write_atomically(path, (json.dumps(document, indent=1) + "\n").encode())


def line(entry: LogEntry) -> str:
    """One entry for a person: seconds since reset, who, text."""
    return f"{entry.ms / 1000:>10.3f}  {entry.who:<12}  {entry.text}"
