# SPDX-License-Identifier: Apache-2.0
"""Where the demo plays: a temporary directory with keys, inventory and board of its own.

Every step is the very command that a person would type, run as a process of its own.
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from boards.errors import ENVIRONMENT, CoffretError
from flasher.leash import Leashed

_ROOT = Path(__file__).parents[2]
_EXAMPLES = _ROOT / "examples"
_COMMAND_S = 600.0
BOARD_NAME = "board"


class NotAsToldError(Exception):
    """Something went otherwise than the story says; `lines` is what was seen instead."""

    def __init__(self, what: str, lines: list[str]) -> None:
        super().__init__(what)
        self.what = what
        self.lines = lines


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, object]:
        """Its one JSON document. Raises NotAsToldError."""
        try:
            document = json.loads(self.out)
        except ValueError:
            raise NotAsToldError("its output is no JSON document", self.lines) from None
        if not isinstance(document, dict):
            raise NotAsToldError("its JSON document is no object", self.lines)
        return document

    @property
    def lines(self) -> list[str]:
        """Everything it said, the last lines of it."""
        text = f"{self.err}\n{self.out}"
        return [line for line in text.splitlines() if line.strip()][-12:]


class Stage:
    """A context manager; at its end the board is off and the directory gone."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="coffret-demo-"))
        runtime = self.folder / "run"
        runtime.mkdir(mode=0o700)
        self._environment = os.environ | {
            "COFFRET_KEYS": str(self.folder / "keys"),
            "COFFRET_INVENTORY": str(self.folder / "inventory.sqlite"),
            "XDG_RUNTIME_DIR": str(runtime),
            "PYTHONPATH": os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH")))),
            "NO_COLOR": "1",
        }
        self._board: Leashed | None = None
        self._lines: queue.Queue[str | None] = queue.Queue()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.switch_off()
        shutil.rmtree(self.folder, ignore_errors=True)

    def bring(self, example: str) -> Path:
        """A copy of one of the examples. Raises CoffretError when they are not installed."""
        source = _EXAMPLES / example
        if not source.is_dir():
            raise CoffretError(
                f"{source}: there is no such example",
                "run the demo from a checkout of coffret: ./dev demo",
                ENVIRONMENT,
            )
        target = self.folder / example
        shutil.copytree(source, target)
        return target

    def run(self, *words: str) -> Outcome:
        """Runs `coffret WORDS` in the stage's directory."""
        try:
            done = subprocess.run(
                self._command(words),
                cwd=self.folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_COMMAND_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise NotAsToldError(f"it did not end within {_COMMAND_S:g} s", []) from None
        return Outcome(done.returncode, done.stdout, done.stderr)

    @staticmethod
    def _command(words: tuple[str, ...]) -> list[str]:
        return [sys.executable, "-P", "-m", "coffret", *words]

    def switch_on(self, bundle: str) -> tuple[str, ...]:
        """Starts `coffret run`; returns its words. Its output is read by `next_line`."""
        words = ("run", bundle, "--state", BOARD_NAME)
        with (self.folder / "run.log").open("wb") as log:
            self._board = Leashed(
                self._command(words),
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=self.folder,
                env=self._environment,
            )
        threading.Thread(target=self._read, args=(self._board,), daemon=True).start()
        return words

    def _read(self, board: Leashed) -> None:
        assert board.stdout is not None
        for line in board.stdout:
            self._lines.put(line.decode(errors="replace").rstrip("\n"))
        self._lines.put(None)

    def next_line(self, seconds: float) -> str:
        """The next line from the board's USB port. Raises NotAsToldError: silence, or its end."""
        try:
            line = self._lines.get(timeout=seconds)
        except queue.Empty:
            raise NotAsToldError(f"nothing came from the board in {seconds:g} s", []) from None
        if line is None:
            log = (self.folder / "run.log").read_text(errors="replace")
            raise NotAsToldError("the board stopped", log.splitlines()[-8:])
        return line

    def switch_off(self) -> None:
        """Stops the board, if it runs."""
        board, self._board = self._board, None
        if board is not None:
            board.terminate()
