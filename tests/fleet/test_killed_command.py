# SPDX-License-Identifier: Apache-2.0
"""The command that provisions virtual boards is killed again and again, and repeated.

The boards are real ones under the emulator; the moments of the kills are random.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from attest.inventory import Inventory
from tests.fleet.fleets import assert_each_provisioned_once, run, start


@contextmanager
def virtual_fleet(bundle: Path, count: int, state: Path) -> Iterator[list[str]]:
    """`coffret fleet virtual` with blank boards; their serial numbers."""
    process = start("virtual", bundle, "-n", str(count), "--state", state)
    try:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(count + 1)]
        yield [line.split()[0] for line in lines[:count]]
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


_LONG = [pytest.param(16, 5, id=f"16 boards, round {n}", marks=pytest.mark.all) for n in range(4)]


@pytest.mark.parametrize(("boards", "kills"), [pytest.param(2, 2, id="2 boards"), *_LONG])
def test_a_killed_command_goes_on_and_provisions_every_board_once(
    hello: Path, place: Path, inventory: Inventory, boards: int, kills: int
) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    moments = random.Random(seed)
    state = place / "homes"
    with virtual_fleet(hello, boards, state) as serials:
        words = ("provision", state / "fleet.toml", "--lease", "5")
        for _ in range(kills):
            command = start(*words)
            try:
                command.wait(moments.uniform(0.5, 2.0 + boards))
            except subprocess.TimeoutExpired:
                command.kill()
            command.communicate()
        code, out, err = run(*words, "--json")
        assert code == 0, out + err
        assert_each_provisioned_once(inventory, serials)
        code, out, err = run("attest", *words[1:])
        assert code == 0, out + err
        code, out, err = run("list", "--json")
        assert {board["verdict"] for board in json.loads(out)} == {"trusted"}
