# SPDX-License-Identifier: Apache-2.0
"""What README and tutorial show is what a new user gets, command by command."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.conftest import EXAMPLES, REPOSITORY
from tests.qemu import needs_qemu

DOCS = REPOSITORY / "docs"
_BLOCK = re.compile(r"^```\n(.*?)^```", re.MULTILINE | re.DOTALL)
# One that runs until it is stopped: the tutorial goes on in another terminal.
_STAYS = re.compile(r"^coffret (run .*)$", re.MULTILINE)
_IN_ANOTHER_TERMINAL = r"""
"$PYTHON" "$COFFRET" \1 > /dev/null 2> board.log &
board=$!
trap "kill $board; wait $board || true" EXIT
until grep -q management board.log; do kill -0 $board; sleep 0.1; done
"""


def blocks(page: Path) -> list[str]:
    return _BLOCK.findall(page.read_text(encoding="utf-8"))


def shell(script: str, place: Path) -> str:
    """What a shell with `coffret` prints, in a new home, beside the examples; it must end well."""
    shutil.copytree(EXAMPLES, place / "work/examples")
    (place / "run").mkdir()
    cache = os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")  # what was fetched stays
    home = {
        "HOME": place / "home",
        "XDG_CACHE_HOME": cache,
        "XDG_RUNTIME_DIR": place / "run",
        "PYTHON": sys.executable,
        "COFFRET": REPOSITORY / "coffret.py",
    }
    head = 'set -eu\ncoffret() { "$PYTHON" "$COFFRET" "$@"; }\n'
    done = subprocess.run(
        ["bash", "-c", head + _STAYS.sub(_IN_ANOTHER_TERMINAL, script)],
        cwd=place / "work",
        env=os.environ | {name: str(value) for name, value in home.items()},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@needs_qemu
def test_the_tutorial_ends_with_a_trusted_board(tmp_path: Path) -> None:
    said = shell("".join(blocks(DOCS / "tutorial.md")), tmp_path)
    assert "Alice's heart rate can leave by USB only as coach.weekly" in said
    assert said.rstrip().endswith("kitchen: trusted; every claim is as expected.")


@pytest.mark.parametrize("verb", ["flows", "check"])
def test_the_readme_shows_what_is_printed(verb: str) -> None:
    """Its lines are broken to fit; the words are the same."""
    (shown,) = (b for b in blocks(REPOSITORY / "README.md") if b.startswith("$ "))
    (example,) = re.findall(rf"^\$ \./dev coffret {verb} (\S+)\n(.*?)\n\n", shown, re.M | re.S)
    appliance, text = example
    done = subprocess.run(
        [sys.executable, "coffret.py", verb, appliance],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.stdout + done.stderr).split() == text.split()
