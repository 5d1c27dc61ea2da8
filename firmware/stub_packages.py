# SPDX-License-Identifier: Apache-2.0
"""MicroPython's type stubs of a board: one package of PyPI each, pinned, fetched by pip.

Every package owns a top-level `machine.pyi`, so each has a folder of its own in the user's cache.
pip itself checks the digest, which `locks/stubs.sha256` names.
"""

from __future__ import annotations

import hashlib
import secrets
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from boards.errors import ENVIRONMENT, CoffretError
from boards.model import Board
from firmware.object_cache import user_cache

_LOCK = Path(__file__).parent / "locks" / "stubs.sha256"
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
    with tempfile.TemporaryDirectory(prefix="coffret-stubs-") as directory:
        wanted = Path(directory) / "requirements.txt"
        pin = f"{package.name}=={package.version} --hash=sha256:{package.digest}\n"
        wanted.write_text(pin, encoding="ascii")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--disable-pip-version-check", "--only-binary", ":all:", "--require-hashes"]
        done = subprocess.run(
            [*command, "--dest", directory, "--requirement", str(wanted)],
            capture_output=True,
            text=True,
            check=False,
        )
        wheels = list(Path(directory).glob("*.whl"))
        if done.returncode != 0 or len(wheels) != 1:
            said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
            raise CoffretError(
                f"cannot fetch {package.name} {package.version}: {said[0] if said else 'no wheel'}",
                "run this once where pip reaches its index: the types of the board come from there",
                ENVIRONMENT,
            )
        _unpack(wheels[0], package)


def _unpack(wheel: Path, package: StubPackage) -> None:
    """The wheel's stubs into the cache, in one step. pip has checked the digest; so do we."""
    data = wheel.read_bytes()
    if hashlib.sha256(data).hexdigest() != package.digest:
        raise CoffretError(f"{wheel.name} is not the pinned file", "try again", ENVIRONMENT)
    temporary = package.folder.with_name(f".{package.folder.name}.{secrets.token_hex(6)}")
    try:
        with zipfile.ZipFile(wheel) as archive:
            for entry in archive.infolist():
                name = entry.filename
                wanted = name.endswith(".pyi") and (
                    package.name != _SHARED or name.startswith(_SHARED_FOLDER)
                )
                if not wanted or ".." in Path(name).parts or entry.file_size > _MAX_FILE:
                    continue
                target = temporary / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(archive.read(entry))
        try:
            temporary.rename(package.folder)
        except OSError:  # another process was faster
            if not package.folder.is_dir():
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
