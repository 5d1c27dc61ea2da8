# SPDX-License-Identifier: Apache-2.0
"""The first thing a new user sees."""

from __future__ import annotations

import json
import time
from pathlib import Path

from flasher.bundle import read_bundle
from flasher.run import board_of
from tests.acceptance.conftest import User


def test_hello_says_its_line_in_the_boards_log(user: User, hello: Path) -> None:
    with board_of(read_bundle(hello), root=user.home) as board:
        until = time.monotonic() + 30
        said: list[tuple[str, str]] = []
        while ("hello", "hello from coffret") not in said and time.monotonic() < until:
            answer = user.coffret("logs", "--port", board.port, "--json")
            assert answer.code == 0, answer.err
            said = [(entry["who"], entry["text"]) for entry in json.loads(answer.out)]
        used = user.coffret("enclaves", "--port", board.port)
    assert ("hello", "hello from coffret") in said
    assert used.code == 0, used.err
    assert "\nhello " in used.out
