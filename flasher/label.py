# SPDX-License-Identifier: Apache-2.0
"""A label for a board: a QR code with its identity, as PNG or PDF.

The text is `coffret:INSTANCE-ID?name=NAME&board=BOARD`, nothing secret: whoever scans it knows
which device to ask the verifier for.
"""

from __future__ import annotations

import io
from pathlib import Path
from urllib.parse import urlencode

from boards.errors import ENVIRONMENT, USAGE, CoffretError
from flasher.errors import DiskFullError
from flasher.state import write_atomically

KINDS = ("png", "pdf")
_SCALE = {"png": 8, "pdf": 3}  # pixels, points: a square of some 3 cm
_MODE = 0o644


def text(instance_id: bytes, name: str, board: str) -> str:
    """What the QR code says."""
    return f"coffret:{instance_id.hex()}?{urlencode({'name': name, 'board': board})}"


def label(instance_id: bytes, name: str, board: str, kind: str) -> bytes:
    """The label as the bytes of a `png` or `pdf` file."""
    import segno  # noqa: PLC0415 - only labels need it

    code = segno.make_qr(text(instance_id, name, board), error="m")
    out = io.BytesIO()
    code.save(out, kind=kind, scale=_SCALE[kind], border=4)
    return out.getvalue()


def save(path: Path, instance_id: bytes, name: str, board: str) -> None:
    """Writes the label as `NAME.png` or `NAME.pdf`. Raises CoffretError: the disk, the ending."""
    kind = path.suffix.lstrip(".").lower()
    if kind not in KINDS:
        raise CoffretError(
            f"{path}: a label is a .png or a .pdf file", "end the file's name so", USAGE
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, label(instance_id, name, board, kind), _MODE)
    except OSError as error:
        if error.errno == 28:  # ENOSPC
            raise DiskFullError(path) from None
        raise CoffretError(
            f"{path}: {error.strerror}", "name another folder for the labels", ENVIRONMENT
        ) from None
