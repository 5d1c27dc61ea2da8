# SPDX-License-Identifier: Apache-2.0
"""What an editor knows of an appliance: `typings/`, which `coffret check` keeps up to date.

An editor has one set of stubs for a folder, so these hold what any enclave of the appliance may
use; `coffret check` itself looks at each enclave with its own.
"""

from __future__ import annotations

from pathlib import Path

from boards.model import Board
from boards.model import load as load_board
from boards.model import names as board_names
from firmware.appliance.manifest import Manifest
from firmware.compiler.object_cache import write_if_new
from firmware.device_types.stub_packages import board_stubs
from firmware.device_types.typecheck import stub_files

SETTINGS = "pyrightconfig.json"
_TYPINGS = "typings"
_BOARD = ".board"  # whose stubs they are


def refresh_typings(manifest: Manifest, board: Board | None) -> None:
    """Rewrite the stubs beside a manifest, if its folder is set up for an editor.

    Without a board those of the last one stay, for the devices that are granted now.
    """
    folder = manifest.folder / _TYPINGS
    if not (manifest.folder / SETTINGS).is_file():
        return
    before = _board_of(folder)
    board = board or (load_board(before) if before in board_names() else None)
    files = stub_files(manifest, tuple(manifest.enclaves), board)
    for package in board_stubs(board) if board else ():
        for path in sorted(package.rglob("*.pyi")):
            files.setdefault(path.relative_to(package).as_posix(), path.read_bytes())
    if board is not None and board.name != before:
        for stale in folder.rglob("*.pyi"):
            if stale.relative_to(folder).as_posix() not in files:
                stale.unlink()
    for name, data in files.items():
        write_if_new(folder / name, data)
    write_if_new(folder / _BOARD, (board.name if board else "").encode())


def _board_of(folder: Path) -> str:
    try:
        return (folder / _BOARD).read_text(encoding="utf-8").strip()
    except OSError:
        return ""
