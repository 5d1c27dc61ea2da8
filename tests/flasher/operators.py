# SPDX-License-Identifier: Apache-2.0
"""Who uses the verbs in these tests, and the board on the desk."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from flasher.bundle import read_bundle
from flasher.run import board_of
from flasher.smp import Board, wait_for
from flasher.virtual import VirtualBoard

ROOT = Path(__file__).parents[2]
FIRST = "1.0.0"  # the version of the example


@dataclass(frozen=True, slots=True)
class Operator:
    """A person with keys, an inventory and bundles of some versions of one appliance."""

    folder: Path

    @classmethod
    def new(cls, pytest_folders: pytest.TempPathFactory) -> Operator:
        folder = pytest_folders.mktemp("operator")
        (folder / "run").mkdir()
        return cls(folder)

    def coffret(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {
            "COFFRET_KEYS": str(self.folder / "keys"),
            "COFFRET_INVENTORY": str(self.folder / "inventory.sqlite"),
            "XDG_RUNTIME_DIR": str(self.folder / "run"),
        }
        command = [sys.executable, "-m", "coffret", *map(str, words)]
        return subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )

    def ask(self, *words: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
        """The verb, which must end with `code`."""
        done = self.coffret(*words)
        assert done.returncode == code, done.stderr
        return done

    def document(self, *words: str | Path, code: int = 0) -> dict[str, Any]:
        """The verb's one JSON document."""
        found: dict[str, Any] = json.loads(self.ask(*words, "--json", code=code).stdout)
        return found

    def bundle(self, version: str) -> Path:
        return self.folder / f"bundle-{version}"

    def hello(self, version: str, more: str = "") -> Path:
        """The example as this version; `more` are further lines of its [appliance]."""
        source = self.folder / f"hello-{version}"
        shutil.copytree(ROOT / "examples" / "hello", source)
        manifest = source / "appliance.toml"
        text = manifest.read_text()
        assert text.count(f'"{FIRST}"') == 1
        manifest.write_text(text.replace(f'"{FIRST}"', f'"{version}"\n{more}'))
        return source

    def build(self, source: Path, version: str, board: str, *words: str | Path) -> None:
        """Make `bundle(version)`."""
        self.ask("build", source, "--board", board, "-o", self.bundle(version), *words)

    @contextmanager
    def board(self, state: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[VirtualBoard]:
        """A board from the factory with the first version in slot A, once it answers."""
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(self.folder / "run"))
        with board_of(read_bundle(self.bundle(FIRST)), state=state) as running:
            wait_for(running.port, 60, lambda answering: answering.mode())
            yield running


def running_image(board: VirtualBoard) -> tuple[str, bool]:
    """Version and confirmation of what runs."""
    with Board.open(board.port, timeout_s=10) as answering:
        (active,) = [image for image in answering.images() if image.active]
    return active.version, active.confirmed
