# SPDX-License-Identifier: Apache-2.0
"""Deltas between two bundles, one for each slot a board may run from; kept in one file."""

from __future__ import annotations

import hashlib
import io
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from flasher.bundle import Bundle, ImageFile, read_bundle
from flasher.delta.layout import DeltaError, Header
from flasher.delta.make import make_delta
from flasher.errors import BadFileError

# The delta to an image from the running one's digest; None: none is known.
DeltaFor: TypeAlias = Callable[[ImageFile, bytes], bytes | None]

# The slots that the base runs in and that the target goes to.
NAMES = ("a_to_b.delta", "b_to_a.delta")
_MAX = 16 << 20
_EPOCH = (1980, 1, 1, 0, 0, 0)
_MEND = "name a file made by `coffret delta OLD NEW`, or the bundle that the board runs"


@dataclass(frozen=True, slots=True)
class Deltas:
    """A delta for a board that runs from slot A, and one for slot B."""

    each: tuple[bytes, bytes]

    def to(self, image: ImageFile, running: bytes) -> bytes | None:
        """The delta to this image from the running one's digest; None: there is none."""
        wanted = hashlib.sha256(image.data).digest()
        for delta in self.each:
            header = Header.unpack(delta)
            if header.base == running and header.target == wanted:
                return delta
        return None


def from_bundle(old: Bundle) -> DeltaFor:
    """Makes deltas for boards that run what `old` installs."""

    def delta_to(image: ImageFile, running: bytes) -> bytes | None:
        for slot in range(2):
            base = old.slot_image(slot)
            if base.digest == running:
                return make_delta(base, image)
        return None

    return delta_to


def from_path(path: Path) -> DeltaFor:
    """From the bundle that boards run, or a file of deltas. Raises BadFileError."""
    return from_bundle(read_bundle(path)) if path.is_dir() else read_deltas(path).to


def between(old: Bundle, new: Bundle) -> Deltas:
    """From what `old` installs to what `new` does. Raises BadFileError for different boards."""
    if old.board != new.board:
        raise BadFileError(
            f"{old.folder}: is for {old.board}, and {new.folder} for {new.board}",
            "name two bundles for the same board",
        )
    to_b, to_a = (make_delta(old.slot_image(slot), new.slot_image(1 - slot)) for slot in (0, 1))
    return Deltas((to_b, to_a))


def write_deltas(deltas: Deltas, path: Path) -> None:
    """One file, a zip archive; the same deltas, the same bytes. It appears whole."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, delta in zip(NAMES, deltas.each, strict=True):
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), delta)
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(out.getvalue())
        Path(file.name).chmod(0o644)
        Path(file.name).replace(path)
    except OSError as error:
        raise BadFileError(
            f"{path}: {error.strerror}", "name a file in a folder you may write"
        ) from error


def read_deltas(path: Path) -> Deltas:
    """What `write_deltas` wrote. Raises BadFileError."""
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(archive.getinfo(name).file_size for name in NAMES) > _MAX:
                raise DeltaError(f"holds more than {_MAX} bytes")
            first, second = (archive.read(name) for name in NAMES)
        for delta in (first, second):
            Header.unpack(delta)
        return Deltas((first, second))
    except OSError as error:
        raise BadFileError(f"{path}: {error.strerror or error}", _MEND) from error
    except KeyError as error:
        raise BadFileError(f"{path}: {error.args[0]}", _MEND) from error
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError) as error:
        raise BadFileError(f"{path}: {error}", _MEND) from error
