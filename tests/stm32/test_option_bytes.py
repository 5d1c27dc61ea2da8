# SPDX-License-Identifier: Apache-2.0
"""The pyboard's read protection: a secured one asks for it once, starts with it, and stays so.

Level 1 (RM0090, section 3.7.3) keeps debugger and ROM boot loader out; neither is here to try it.
What runs is boot's own path, in the image that a board gets, against simulated option bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import attest
import boards
from attest.inventory import Inventory
from firmware.appliance.manifest_file import load
from firmware.build import build
from firmware.bundle.folder import Bundle
from flasher.attestation import challenge
from flasher.bundle import read_bundle
from flasher.provision import LIFECYCLE_SECURED, provision
from flasher.run import board_of
from flasher.smp import Board
from flasher.state import FLASH_FILE
from flasher.stm32.machine import options_of
from flasher.stm32.options import SimulatedOptionBytes, level_of
from tests.attest.simulated_device import OPERATOR
from tests.firmware.builds import HELLO, means
from tests.qemu import needs_qemu

KEYS = (0x0819_2A3B, 0x4C5D_6E7F)
START = 2


def _word(level: int) -> int:
    return 0x0FFF_00EC | level << 8


class Part:
    """Option bytes that count how often the flash was erased on their behalf."""

    def __init__(self, file: Path) -> None:
        self.erased = 0
        self.options = SimulatedOptionBytes(file, self._erase)

    def _erase(self) -> None:
        self.erased += 1

    def set(self, level: int, keys: tuple[int, ...] = KEYS) -> int:
        for key in keys:
            self.options.write(self.options.KEYR, key)
        self.options.write(self.options.CR, _word(level))
        self.options.write(self.options.CR, _word(level) | START)
        self.options.write(self.options.CR, 1)
        return self.options.level


@pytest.fixture
def part(tmp_path: Path) -> Part:
    return Part(tmp_path / "options")


def test_a_new_part_is_open_and_without_the_keys_stays_so(part: Part) -> None:
    assert level_of(part.options.read(part.options.CR)) == 0
    assert part.set(0x55, keys=()) == 0
    assert part.set(0x55, keys=(KEYS[1], KEYS[0])) == 0
    assert part.set(0x55) == 0, "a wrong key closes them until the next reset"
    part.options.reset()
    assert part.set(0x55) == 1


def test_the_way_back_from_level_1_erases_and_from_level_2_there_is_none(part: Part) -> None:
    assert (part.set(0x55), part.erased) == (1, 0)
    assert (part.set(0xAA), part.erased) == (0, 1)
    assert (part.set(0xCC), part.erased) == (2, 1)
    assert (part.set(0xAA), part.erased) == (2, 1)


@pytest.fixture
def inventory(tmp_path: Path) -> Iterator[Inventory]:
    opened = attest.open_inventory(str(tmp_path / "inventory.sqlite"))
    yield opened
    opened.close()


def _bundle(folder: Path) -> Bundle:
    board = boards.load("pyboard-v1.1")
    return build(load(HELLO), board, folder / "bundle", means(folder / "work"))


@needs_qemu
@pytest.mark.all
def test_a_secured_pyboard_closes_its_debug_port_once_and_starts_with_it_closed(
    tmp_path: Path, inventory: Inventory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    built = _bundle(tmp_path)
    bundle, state = read_bundle(built.folder), tmp_path / "state"
    state.mkdir()
    options = options_of(state / FLASH_FILE)
    references = attest.load_bundle(built.folder)
    with board_of(bundle, state=state) as board:
        with Board.open(board.port) as client:
            assert client.identity().lifecycle != LIFECYCLE_SECURED
        assert not options.exists(), "a board that nobody secured stays open"
        assert provision(board.port, OPERATOR, inventory, "desk", lambda _: None).changed
    word = int.from_bytes(options.read_bytes(), "little")
    assert level_of(word) == 1
    assert word | 0xFF03 == 0x0FFF_AAED | 0xFF03, "nothing but the level was changed"
    closed = options.stat()

    # Its power was gone; what starts now is a part whose port is closed.
    with board_of(bundle, state=state) as board:
        with Board.open(board.port) as client:
            assert client.identity().lifecycle == LIFECYCLE_SECURED
        evidence, verdict = challenge(board.port, inventory, OPERATOR.public_key(), references)
    assert verdict.trusted, verdict.differing
    assert evidence
    assert options.stat() == closed, "and asks for nothing again"
