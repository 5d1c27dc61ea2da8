# SPDX-License-Identifier: Apache-2.0
"""MicroPython's type stubs of a board: one package of PyPI each, pinned, fetched by pip.

Every package owns a top-level `machine.pyi`, so each has a folder of its own in the user's cache.
pip itself checks the digest, which `locks/stubs.sha256` names.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from boards.errors import ENVIRONMENT, CoffretError
from boards.model import Board
from firmware.appliance.wheels import WheelError, fetched, unpack
from firmware.compiler.object_cache import user_cache

_LOCK = Path(__file__).parents[1] / "locks" / "stubs.sha256"
# What the stubs of every board are written with.
_SHARED = "micropython-stdlib-stubs"
_SHARED_FOLDER = "_mpy_shed/"
_MAX_FILE = 1 << 20


@dataclass(frozen=True, slots=True)
class StubPackage:
    """One pinned package; `digest` is the wheel's SHA-256 in hex."""

    name: str
    version: str
    digest: str

    @property
    def folder(self) -> Path:
        """Where the user's copy is or will be."""
        return user_cache() / "stubs" / f"{self.name}-{self.version}-{self.digest[:16]}"


def packages() -> Mapping[str, StubPackage]:
    """The pinned packages by name."""
    found = {}
    for line in _LOCK.read_text(encoding="ascii").splitlines():
        if not line.startswith("#"):
            digest, requirement = line.split("  ")
            name, version = requirement.split("==")
            found[name] = StubPackage(name, version, digest)
    return found


def board_stubs(board: Board) -> tuple[Path, ...]:
    """The folders with the stubs of a board's MicroPython, fetched if need be; none: no package.

    Raises CoffretError (environment): not pinned, or pip cannot fetch it.
    """
    if board.host.stubs is None:
        return ()
    known = packages()
    if board.host.stubs not in known:
        raise CoffretError(
            f"{board.name}: host.stubs: {board.host.stubs} is not pinned",
            f"add the SHA-256 of its wheel to {_LOCK.name}",
            ENVIRONMENT,
        )
    return tuple(_present(known[name]) for name in (board.host.stubs, _SHARED))


def _present(package: StubPackage) -> Path:
    if not package.folder.is_dir():
        _fetch(package)
    return package.folder


def _fetch(package: StubPackage) -> None:
    """The wheel's stubs into the cache, in one step. pip has checked the digest; so do we."""

    def stubs(entries: Sequence[zipfile.ZipInfo]) -> Iterator[zipfile.ZipInfo]:
        for entry in entries:
            name = entry.filename
            wanted = name.endswith(".pyi") and (
                package.name != _SHARED or name.startswith(_SHARED_FOLDER)
            )
            if wanted and ".." not in Path(name).parts and entry.file_size <= _MAX_FILE:
                yield entry

    try:
        with fetched(f"{package.name}=={package.version}", package.digest) as wheel:
            if hashlib.sha256(wheel.read_bytes()).hexdigest() != package.digest:
                raise CoffretError(f"{wheel.name} is not the pinned file", "try again", ENVIRONMENT)
            unpack(wheel, package.folder, stubs)
    except WheelError as error:
        raise CoffretError(
            f"cannot fetch {package.name} {package.version}: {error.said or 'no wheel'}",
            "run this once where pip reaches its index: the types of the board come from there",
            ENVIRONMENT,
        ) from None
