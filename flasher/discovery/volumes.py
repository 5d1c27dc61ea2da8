# SPDX-License-Identifier: Apache-2.0
"""Mounted drives of boot loaders: file systems with `INFO_UF2.TXT` in them."""

from __future__ import annotations

import contextlib
import re
import string
import sys
from collections.abc import Iterator
from pathlib import Path

from boards.errors import CoffretError
from flasher.transports.uf2_volume import INFO, info

_MOUNTS = Path("/proc/self/mounts")
_BY_LABEL = Path("/dev/disk/by-label")
# A boot loader's drive is FAT; nothing else is looked into.
_FAT = ("vfat", "msdos", "fuseblk", "fuse.fusefat", "fuse")


def drives() -> Iterator[tuple[Path, dict[str, str]]]:
    """Each mounted drive and what its file says."""
    for folder in sorted(_folders()):
        with contextlib.suppress(CoffretError, OSError):
            if (folder / INFO).is_file():
                yield folder, info(folder)


def unmounted(labels: tuple[str, ...]) -> tuple[str, ...]:
    """Labels of boot loaders' drives that are plugged in and not mounted (Linux only)."""
    mounted = {folder.name for folder, _ in drives()}
    with contextlib.suppress(OSError):
        present = {path.name for path in _BY_LABEL.iterdir()}
        devices = {line.split()[0] for line in _MOUNTS.read_text().splitlines() if line}
        return tuple(
            label
            for label in labels
            if label in present
            and label not in mounted
            and str((_BY_LABEL / label).resolve()) not in devices
        )
    return ()


def _folders() -> Iterator[Path]:
    if sys.platform == "win32":
        for letter in string.ascii_uppercase:
            folder = Path(f"{letter}:\\")
            if folder.exists():
                yield folder
    elif sys.platform == "darwin":
        yield from Path("/Volumes").iterdir()
    else:
        with contextlib.suppress(OSError):
            for line in _MOUNTS.read_text(errors="replace").splitlines():
                _, folder, kind, *_ = line.split()
                if kind in _FAT:
                    yield Path(_unescaped(folder))


def _unescaped(text: str) -> str:
    """The kernel writes blanks in a mount point as octal escapes."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
