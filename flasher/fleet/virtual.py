# SPDX-License-Identifier: Apache-2.0
"""A virtual fleet: N virtual boards, each with its own flash file and port, while it runs."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from flasher.bundle import Bundle
from flasher.errors import DiskFullError
from flasher.run import board_of
from flasher.state import FLASH_FILE, write_atomically
from flasher.virtual import VirtualBoard

_FILE = """\
[fleet]
name = "{name}"

[group.boards]
bundle = {bundle}
units = "units.csv"
"""


@contextmanager
def fleet(
    bundle: Bundle, count: int, folder: Path, root: Path | None = None
) -> Iterator[tuple[VirtualBoard, ...]]:
    """Starts the boards `NAME-01`... of `folder`; new ones are blank. Its fleet file is made too.

    Raises EmulatorError and BadFileError as `board_of` does, and DiskFullError.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    states = [folder / f"{folder.name}-{number:02}" for number in range(1, count + 1)]
    _write_file(bundle, folder, [state.name for state in states])
    with ExitStack() as boards:
        running = []
        for state in states:
            blank = not (state / FLASH_FILE).exists()
            try:
                board = boards.enter_context(board_of(bundle, state=state, blank=blank, root=root))
            except OSError as error:
                if error.errno == 28:  # ENOSPC
                    shutil.rmtree(state, ignore_errors=True)
                    raise DiskFullError(state) from None
                raise
            running.append(board)
        yield tuple(running)


def _write_file(bundle: Bundle, folder: Path, serials: list[str]) -> None:
    quoted = '"' + str(bundle.folder.resolve()).replace("\\", "\\\\").replace('"', '\\"') + '"'
    text = _FILE.format(name=folder.name, bundle=quoted)
    if not (folder / "fleet.toml").exists():
        write_atomically(folder / "fleet.toml", text.encode(), 0o644)
    rows = "".join(f"{serial}\n" for serial in ["serial", *serials])
    write_atomically(folder / "units.csv", rows.encode(), 0o644)
