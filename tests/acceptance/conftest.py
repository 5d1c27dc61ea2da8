# SPDX-License-Identifier: Apache-2.0
"""What a user does, through the `coffret` command alone: one home directory for the session."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
EXAMPLES = REPOSITORY / "examples"
DIARY = EXAMPLES / "heart_diary"
BOARD = "mps2-an385"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command printed, and how it ended."""

    code: int
    out: str
    err: str

    def claims(self) -> dict[str, bool]:
        """Of `attest --json` or `verify --json`: which claims hold."""
        return {each["claim"]: each["ok"] for each in json.loads(self.out)["claims"]}

    def differing(self) -> set[str]:
        return {claim for claim, ok in self.claims().items() if not ok}


@dataclass(frozen=True, slots=True)
class User:
    """Somebody with keys and an inventory of their own."""

    home: Path

    def coffret(self, *words: str | Path) -> Answer:
        environment = {
            **os.environ,
            "COFFRET_KEYS": str(self.home / "keys"),
            "COFFRET_INVENTORY": str(self.home / "inventory.sqlite"),
            "XDG_RUNTIME_DIR": str(self.home),
        }
        done = subprocess.run(
            [sys.executable, REPOSITORY / "coffret.py", *map(str, words)],
            capture_output=True,
            text=True,
            env=environment,
            cwd=self.home,
            timeout=300,
            check=False,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    def build(self, appliance: Path, name: str, *more: str | Path) -> Path:
        bundle = self.home / name
        answer = self.coffret("build", appliance, "--board", BOARD, "-o", bundle, *more)
        assert answer.code == 0, answer.err
        return bundle

    def variant(self, name: str, old: str, new: str, example: Path = DIARY) -> Path:
        """The example with one text of its manifest replaced; returns the appliance."""
        appliance = self.home / f"{name}-source"
        shutil.copytree(example, appliance)
        manifest = appliance / "appliance.toml"
        text = manifest.read_text()
        assert text.count(old) == 1, f"{old!r} is not there once"
        manifest.write_text(text.replace(old, new))
        return appliance


@pytest.fixture(scope="session")
def user(tmp_path_factory: pytest.TempPathFactory) -> User:
    home = tmp_path_factory.mktemp("user")
    home.chmod(0o700)
    return User(home)


@pytest.fixture(scope="session")
def hello(user: User) -> Path:
    return user.build(EXAMPLES / "hello", "hello")


@pytest.fixture(scope="session")
def diary(user: User) -> Path:
    return user.build(DIARY, "diary")
