# SPDX-License-Identifier: Apache-2.0
"""A bundle whose images are boot's test payload: enough for all but the management service."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from flasher.bundle import FACTS_FILE, Bundle, read_bundle
from flasher.run import board_of
from flasher.virtual import VirtualBoard
from tests.boot.device import Kit, build_kit


@pytest.fixture(scope="session")
def boot_kit(tmp_path_factory: pytest.TempPathFactory) -> Kit:
    return build_kit(tmp_path_factory.mktemp("kit"))


@pytest.fixture(scope="session")
def payload_bundle(boot_kit: Kit, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("bundle")
    shutil.copy(boot_kit.boot.elf, folder / "boot.elf")
    for slot, name in enumerate(("slot_a.bin", "slot_b.bin")):
        (folder / name).write_bytes(boot_kit.image(slot))
    facts = {
        "appliance": "payload",
        "version": "1.0.0",
        "board": boot_kit.board.name,
        "files": {"slot_a": "slot_a.bin", "slot_b": "slot_b.bin", "boot": "boot.elf"},
    }
    (folder / FACTS_FILE).write_text(json.dumps(facts))
    return read_bundle(folder)


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of virtual boards of this test's own."""
    folder = tmp_path / "runtime"
    folder.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    return folder


@pytest.fixture
def blank_board(payload_bundle: Bundle, runtime: Path) -> Iterator[VirtualBoard]:
    """A running board without an image: boot's recovery answers."""
    assert runtime.is_dir()
    with board_of(payload_bundle, blank=True) as board:
        yield board
