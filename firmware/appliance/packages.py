# SPDX-License-Identifier: Apache-2.0
"""Pure-Python packages that an appliance depends on: a folder, or a wheel of the package index.

A package is the modules at its top and those in the packages there. The manifest pins its digest:
of a folder that of its modules, of a wheel the file's SHA-256. Wheels are fetched by pip into the
user's cache, never run, and unpacked by us; what is in the image is compiled, analysed and listed
like the appliance's own modules.
"""

from __future__ import annotations

import hashlib
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from boards.errors import ENVIRONMENT, CoffretError
from firmware.appliance.modules import MAX_SOURCE_BYTES, PACKAGE_FILE
from firmware.appliance.wheels import WheelError, fetched, unpack
from firmware.compiler.object_cache import user_cache

_MODULE = re.compile(r"(?:[a-z_][a-z0-9_]{0,30}/){0,7}[a-z_][a-z0-9_]{0,30}\.py")
_FILES_MAX = 256


class PackageError(ValueError):
    """A package is not what the manifest says; `key` of its table, and the mend."""

    def __init__(self, key: str, what: str, mend: str) -> None:
        super().__init__(what)
        self.key = key
        self.what = what
        self.mend = mend


@dataclass(frozen=True, slots=True)
class Package:
    """A package as it was verified. `modules`: its files by import name; `digest`: 32 bytes.

    `fetched`: it came from the package index, and can come from there again.
    """

    name: str
    version: str
    digest: bytes
    modules: Mapping[str, Path]
    fetched: bool


def from_folder(name: str, folder: Path, sha256: str) -> Package:
    """The modules in a folder. Raises PackageError."""
    if not folder.is_dir():
        raise PackageError("folder", f"{folder}: is no folder", "correct the path")
    modules = _modules(folder)
    found = folder_digest(modules)
    if found.hex() != sha256:
        what = f"{folder} has the digest {found.hex()}"
        raise PackageError("sha256", what, "look at what changed; then write that digest here")
    return Package(name, "0", found, modules, fetched=False)


def folder_digest(modules: Mapping[str, Path]) -> bytes:
    """SHA-256 over the files, sorted by name: `name || 0x00 || SHA-256(file bytes)` each."""
    digest = hashlib.sha256()
    for name, path in sorted(modules.items()):
        digest.update(name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.digest()


def from_wheel(name: str, requirement: str, sha256: str) -> Package:
    """The modules in the wheel `NAME==VERSION`. Raises PackageError, or CoffretError: no pip."""
    project, _, version = requirement.partition("==")
    folder = user_cache() / "packages" / f"{project}-{version}-{sha256}"
    if not folder.is_dir():
        _fetch(requirement, sha256, folder)
    return Package(name, version, bytes.fromhex(sha256), _modules(folder), fetched=True)


def _modules(folder: Path) -> dict[str, Path]:
    """By import name. What lies in a folder without `__init__.py`, tests for one, is not of it."""
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*.py")):
        place = path.relative_to(folder)
        inner = [folder.joinpath(*place.parts[:depth]) for depth in range(1, len(place.parts))]
        if not _MODULE.fullmatch(place.as_posix()):
            continue
        if all((each / PACKAGE_FILE).is_file() for each in inner):
            parts = place.parts[:-1] if path.name == PACKAGE_FILE else place.with_suffix("").parts
            if parts:
                found[".".join(parts)] = path
    if not found:
        mend = "name a folder with modules, or with packages that have an __init__.py"
        raise PackageError("folder", f"{folder.name}: has no module", mend)
    return found


def _fetch(requirement: str, sha256: str, folder: Path) -> None:
    try:
        with fetched(requirement, sha256) as wheel:
            unpack(wheel, folder, _plain_modules)
    except WheelError as error:
        if error.other_digest:
            what = f"the wheel of {requirement} has another digest"
            mend = "take the digest from who vouches for the package; never from this message"
            raise PackageError("sha256", what, mend) from None
        raise CoffretError(
            f"cannot fetch {requirement}: {error.said or 'it has no wheel'}",
            "run this once where pip reaches its index, or use `folder`",
            ENVIRONMENT,
        ) from None


def _plain_modules(entries: Sequence[zipfile.ZipInfo]) -> Iterator[zipfile.ZipInfo]:
    for entry in entries[:_FILES_MAX]:
        if _MODULE.fullmatch(entry.filename) and entry.file_size <= MAX_SOURCE_BYTES:
            yield entry
