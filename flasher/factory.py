# SPDX-License-Identifier: Apache-2.0
"""What a boot loader in ROM writes: boot and slot A, and for a new board a secret of its own.

The UF2 file in a bundle is for everybody and holds no secret, so a board that was only given that
one stays in recovery and says so. What is made here for a new board is for that one board.
"""

from __future__ import annotations

from pathlib import Path

import boards
from boards import Board
from boards.ihex import write_hex
from boards.uf2 import Segment, write_uf2
from flasher import board_secrets
from flasher.bundle import Bundle
from flasher.errors import BadFileError, RefusedError
from flasher.reasons import Reason
from flasher.state import write_atomically
from flasher.virtual import UDS_BYTES, UDS_MAGIC

_ERASED = b"\xff"


def segments(board: Board, boot: bytes, slot_a: bytes, secret: bytes | None) -> tuple[Segment, ...]:
    """The segments of a first flash, in the order in which a cut does the least harm: boot last.

    Slot B loses its header, so slot A is what starts. With a `secret` (UDS_BYTES) the board becomes
    a new one, with an empty record store; else both stay, with identity and security counter.
    Raises BadFileError: does not fit.
    """
    flash = board.flash
    if len(slot_a) > flash.slot_a.size:
        raise BadFileError(
            f"slot A: the image has {len(slot_a)} bytes, the slot {flash.slot_a.size}",
            "see what takes the room: coffret inspect BUNDLE",
        )
    fresh = []
    if secret is not None:
        fresh = [
            Segment(flash.region(flash.store).base, _ERASED * flash.store.size),
            Segment(flash.region(flash.secrets).base, UDS_MAGIC + secret),
        ]
    return (
        Segment(board.slot(1).base, _ERASED * flash.erase_size),
        *fresh,
        Segment(board.slot(0).base, slot_a),
        *([Segment(board.memory.boot.base, boot)] if board.boot_in_flash else []),
    )


SECRET_BYTES = len(UDS_MAGIC) + UDS_BYTES


def has_secret(found: bytes) -> bool:
    """Whether the `SECRET_BYTES` at the secrets' place are those of a board that was made."""
    value = found[len(UDS_MAGIC) :][:UDS_BYTES]
    return found.startswith(UDS_MAGIC) and len(set(value)) > 1


def of_bundle(bundle: Bundle, board: Board, secret: bytes | None) -> tuple[Segment, ...]:
    """`segments` of a bundle. Raises RefusedError: unsigned, so boot would not start it."""
    image = bundle.slot_image(0)
    if not image.signed:
        reason = Reason.NO_SIGNATURE
        raise RefusedError(f"{bundle.files['slot_a']}: {reason.words}", reason.mend, reason)
    boot = _boot(bundle) if board.boot_in_flash else b""
    return segments(board, boot, image.data, secret)


def _boot(bundle: Bundle) -> bytes:
    path = bundle.files["boot"].with_suffix(".bin")
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadFileError(f"{path}: {error.strerror}", "build it again") from error


def new_board_file(board: Board, boot: bytes, slot_a: bytes) -> bytes:
    """The UF2 or Intel HEX file for one new board, with a secret that nobody else has.

    Raises BadFileError: the board's drive takes neither, or the image does not fit.
    """
    host = board.host
    if not board.boot_in_flash or (host.uf2_family is None and not host.hex_file):
        raise BadFileError(
            f"{board.name} takes no files on a USB drive",
            "see how it is reached: coffret boards show NAME",
        )
    parts = segments(board, boot, slot_a, board_secrets.fresh())
    if host.uf2_family is None:
        return write_hex(parts)
    return write_uf2(parts, host.uf2_family, board.flash.erase_size)


def save_new_board_file(bundle: Bundle, out: Path) -> None:
    """Writes the file for one new board, readable by its owner alone. Raises BadFileError."""
    slot_a = bundle.slot_image(0).data
    write_atomically(out, new_board_file(boards.load(bundle.board), _boot(bundle), slot_a))
