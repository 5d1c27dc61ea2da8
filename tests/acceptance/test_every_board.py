# SPDX-License-Identifier: Apache-2.0
"""One unchanged appliance, every board that has an emulator: the same behaviour, the same trust."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

import boards
from flasher.bundle import read_bundle
from flasher.errors import NoAnswerError
from flasher.run import board_of
from flasher.smp import Board
from tests.acceptance.conftest import BOARD, DIARY, User

OTHERS = (
    pytest.param("mps2-an386", marks=pytest.mark.all),  # mps2-an385's family and drivers
    "mps2-an505",
    pytest.param("nano-rp2040", marks=pytest.mark.all),  # rpi-pico's family and processor
    pytest.param("pyboard-v1.1", marks=pytest.mark.all),
    "rpi-pico",
)
PATIENCE_S = 300.0


def transcript(user: User, bundle: Path) -> tuple[bytes, list[tuple[str, str]]]:
    """What leaves by USB until the first refused release, and what each enclave's log says."""
    left: list[bytes] = []
    said: list[tuple[str, str]] = []
    with board_of(read_bundle(bundle), root=user.home, taps=(left.append,)) as board:
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            try:
                with Board.open(board.port) as client:
                    _, entries = client.log(0)
            except NoAnswerError:  # an emulator in Python, on a busy machine
                continue
            said = [(entry.who, entry.text) for entry in entries]
            if any("budget used up" in text for _, text in said):
                return b"".join(left), said
            time.sleep(0.5)
    pytest.fail(f"no second release was tried: {said}")


@pytest.fixture(scope="module")
def reference(user: User, diary: Path) -> tuple[bytes, list[tuple[str, str]]]:
    return transcript(user, diary)


@pytest.mark.parametrize("name", OTHERS)
def test_the_appliance_behaves_the_same_and_is_trusted(
    user: User, name: str, reference: tuple[bytes, list[tuple[str, str]]]
) -> None:
    assert boards.load(name).core != boards.load(BOARD).core
    bundle = user.home / f"diary-{name}"
    built = user.coffret("build", DIARY, "--board", name, "-o", bundle)
    assert built.code == 0, built.err
    assert transcript(user, bundle) == reference
    with board_of(read_bundle(bundle), root=user.home) as board:
        provisioned = user.coffret("provision", "--port", board.port)
        assert provisioned.code == 0, provisioned.err
        answer = user.coffret("attest", "--port", board.port, "--bundle", bundle, "--json")
    assert answer.code == 0, answer.out
    assert all(answer.claims().values())
