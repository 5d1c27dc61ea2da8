# SPDX-License-Identifier: Apache-2.0
"""The first flash of a new board through its boot ROM's USB drive: boot, slot A and a fresh secret.

The UF2 file in a bundle is for everybody and holds no secret, so a board that was only given that
one stays in recovery and says so. The file made here is for one board: drop it on the drive, then
remove it.
"""

from __future__ import annotations

import secrets
from pathlib import Path

import boards
from boards import Board
from boards.uf2 import Segment, write_uf2
from flasher.bundle import Bundle
from flasher.errors import BadFileError
from flasher.state import write_atomically
from flasher.virtual import UDS_BYTES, UDS_MAGIC


def new_board_uf2(board: Board, boot: bytes, slot_a: bytes) -> bytes:
    """The UF2 file for one new board, with a secret that nobody else has.

    Slot B and the record store are erased. Raises BadFileError: the board takes no UF2 files, or
    the image does not fit.
    """
    flash, family = board.flash, board.host.uf2_family
    if family is None or not board.boot_in_flash:
        raise BadFileError(
            f"{board.name} takes no UF2 files", "see how it is reached: coffret boards show NAME"
        )
    if len(slot_a) > flash.slot_a.size:
        raise BadFileError(
            f"slot A: the image has {len(slot_a)} bytes, the slot {flash.slot_a.size}",
            "see what takes the room: coffret inspect BUNDLE",
        )
    secret = UDS_MAGIC + secrets.token_bytes(UDS_BYTES)
    segments = [
        Segment(board.memory.boot.base, boot),
        Segment(flash.region(flash.store).base, b"\xff" * flash.store.size),
        Segment(flash.region(flash.secrets).base, secret),
        Segment(board.slot(0).base, slot_a),
        Segment(board.slot(1).base, b"\xff" * flash.erase_size),  # its header: no image
    ]
    return write_uf2(segments, family, flash.erase_size)


def save_new_board_uf2(bundle: Bundle, out: Path) -> None:
    """Writes the file for one new board, readable by its owner alone. Raises BadFileError."""
    try:
        boot = bundle.files["boot"].with_suffix(".bin").read_bytes()
        slot_a = bundle.files["slot_a"].read_bytes()
    except OSError as error:
        raise BadFileError(f"{error.filename}: {error.strerror}", "build it again") from error
    write_atomically(out, new_board_uf2(boards.load(bundle.board), boot, slot_a))
