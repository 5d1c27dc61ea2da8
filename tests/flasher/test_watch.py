# SPDX-License-Identifier: Apache-2.0
"""The agent's rounds: a port that hangs or is not there takes nobody else along."""

from __future__ import annotations

import os
import pty
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from attest.service.client import Client
from flasher.watch import Rounds, Seen, watch


@pytest.fixture
def client() -> Iterator[Client]:
    with Client("http://127.0.0.1:9", "coffret_none") as made:
        yield made


@pytest.fixture
def silent_port() -> Iterator[str]:
    """A terminal that takes everything and says nothing."""
    ours, theirs = pty.openpty()
    yield os.ttyname(theirs)
    os.close(ours)
    os.close(theirs)


def test_a_port_that_is_not_there_is_said_and_the_next_is_asked(
    client: Client, tmp_path: Path
) -> None:
    ports = [str(tmp_path / "a"), str(tmp_path / "b")]
    seen = list(Rounds(client).attest(ports))
    assert [each.port for each in seen] == ports
    assert all(each.verdict is None and "no such port" in each.why for each in seen)


def test_a_port_that_hangs_is_left_alone_until_it_comes_back(
    client: Client, silent_port: str, tmp_path: Path
) -> None:
    rounds = Rounds(client, patience=0.2)
    ports = [silent_port, str(tmp_path / "gone")]
    for _ in range(2):
        hanging, gone = rounds.attest(ports)
        assert "hangs" in hanging.why
        assert "no such port" in gone.why
    rounds._busy[silent_port].join(60)
    assert not rounds._busy[silent_port].is_alive(), "a silent board holds its thread for ever"


def test_rounds_are_counted_and_end_when_told(client: Client, tmp_path: Path) -> None:
    stop = threading.Event()
    asked = []

    def ports() -> list[str]:
        asked.append(1)
        if len(asked) == 3:
            stop.set()
        return [str(tmp_path / "gone")]

    seen: list[Seen] = list(watch(Rounds(client), ports, 0.01, stop))
    assert len(seen) == len(asked) == 3
    assert len(list(watch(Rounds(client), ports, 0.01, threading.Event(), 2))) == 2
