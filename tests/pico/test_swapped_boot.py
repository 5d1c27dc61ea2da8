# SPDX-License-Identifier: Apache-2.0
"""Boot is what a new board believes in: a bundle in which somebody changed it reaches no board."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import boards
from firmware.bundle.folder import Bundle, BundleError
from flasher.checked_bundle import checked
from flasher.state import FLASH_FILE

ROOT = Path(__file__).parents[2]
BOARD = boards.load("rpi-pico")


@pytest.fixture
def folder(bundle: Bundle, tmp_path: Path) -> Path:
    return shutil.copytree(bundle.folder, tmp_path / "bundle")


def _swap_boot(folder: Path) -> None:
    """Another boot of the same length, that says nothing of itself."""
    boot = bytearray((folder / "boot.bin").read_bytes())
    boot[-1] ^= 0xFF
    (folder / "boot.bin").write_bytes(boot)


def _agree(folder: Path) -> None:
    """Has the facts say of the new boot what they said of the old one."""
    path = folder / "bundle.json"
    digest = hashlib.sha256((folder / "boot.bin").read_bytes()).hexdigest()
    facts = json.loads(path.read_text(encoding="utf-8"))
    facts["contents"]["boot.bin"] = facts["reference"]["boot"] = digest
    path.write_text(json.dumps(facts), encoding="utf-8")


def _is_refused(folder: Path, *words: str | Path) -> None:
    command = [sys.executable, "-m", "coffret", "flash", str(folder), *map(str, words)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "boot.bin" in done.stderr or "provenance" in done.stderr


@pytest.mark.parametrize("agreeing", [False, True], ids=["swapped", "with facts that agree"])
def test_no_file_for_a_new_board_is_made_of_it(
    folder: Path, tmp_path: Path, *, agreeing: bool
) -> None:
    _swap_boot(folder)
    if agreeing:
        _agree(folder)
    out = tmp_path / "new.uf2"
    _is_refused(folder, "--new-board", out)
    assert not out.exists()


@pytest.mark.parametrize("agreeing", [False, True], ids=["swapped", "with facts that agree"])
def test_no_board_in_its_rom_gets_it(folder: Path, tmp_path: Path, *, agreeing: bool) -> None:
    flash = tmp_path / "board"
    flash.mkdir()
    _swap_boot(folder)
    if agreeing:
        _agree(folder)
    before = b"\xff" * BOARD.flash.size
    (flash / FLASH_FILE).write_bytes(before)
    _is_refused(folder, "--transport", "virtual", "--port", flash, "--new")
    assert (flash / FLASH_FILE).read_bytes() == before


def test_what_is_written_is_what_was_checked(folder: Path) -> None:
    """Whoever waits for the check and changes the folder then, is too late."""
    good = (folder / "boot.bin").read_bytes()
    said: list[str] = []
    with checked(folder, said.append) as own:
        _swap_boot(folder)
        assert own.files["boot"].with_suffix(".bin").read_bytes() == good
        private = own.folder.parent
        assert private.stat().st_mode & 0o077 == 0
    assert not private.exists()
    assert len(said) == 1
    with pytest.raises(BundleError, match=r"boot\.bin: is not the file"), checked(folder, print):
        pass
