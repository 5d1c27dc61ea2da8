# SPDX-License-Identifier: Apache-2.0
"""The appliance as it was built, in its bundle: so that whoever has the bundle can build it again.

`sources.zip` has the manifest and every file that it names: modules, packages kept in a folder,
owners' public keys, grants, the radio module's firmware, `policy.toml`. Packages from the index
are fetched again; the manifest pins their digests. Nothing is compressed and every entry has the
same date, so the same appliance gives the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from boards.errors import NO, CoffretError
from firmware.appliance.assertion_file import FILE_NAME as ASSERTION_FILE
from firmware.appliance.manifest import Manifest
from firmware.appliance.manifest_file import FILE_NAME

SOURCES_FILE = "sources.zip"
# A path may start with `..`: the manifest then lies that many folders of this name down.
_DOWN = "_"
_MANIFEST = re.compile(rf"({_DOWN}/)*{re.escape(FILE_NAME)}")
_ENTRIES_MAX = 2000
_BYTES_MAX = 16 << 20
_DATE = (1980, 1, 1, 0, 0, 0)  # the first that the format knows
_MEND = "name the appliance's folder behind the bundle"


def recorded_sources(manifest: Manifest) -> bytes:
    """The archive. Raises CoffretError: a module is not any more what was compiled."""
    found = {os.path.relpath(path, manifest.folder): path for path in _named(manifest)}
    places = {PurePosixPath(Path(relative).as_posix()): path for relative, path in found.items()}
    up = max(place.parts.count("..") for place in places)
    files = {_below(place, up): path.read_bytes() for place, path in places.items()}
    files[_below(PurePosixPath(FILE_NAME), up)] = manifest.path.read_bytes()
    _check_unchanged(manifest)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name, data in sorted(files.items()):
            entry = zipfile.ZipInfo(name, _DATE)
            entry.create_system = 3  # Unix, on every host
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data)
    return stream.getvalue()


def unpack_sources(archive: Path, folder: Path) -> Path:
    """Writes the files of a hostile archive into an empty folder; returns the manifest's path.

    Raises CoffretError (1): it is no such archive.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = opened.infolist()
            size = sum(entry.file_size for entry in entries)
            if len(entries) > _ENTRIES_MAX or size > _BYTES_MAX:
                raise ValueError(f"{len(entries)} files of {size} bytes are too many")
            for entry in entries:
                _write(folder, entry, opened.read(entry))
            (manifest,) = (e.filename for e in entries if _MANIFEST.fullmatch(e.filename))
    except (ValueError, OSError, zipfile.BadZipFile, NotImplementedError) as error:
        raise CoffretError(f"{archive}: cannot be unpacked: {error}", _MEND, NO) from None
    return folder / manifest


def _named(manifest: Manifest) -> Iterator[Path]:
    """Every file but the manifest; what came from the package index is left out."""
    fetched = {m for each in manifest.packages if each.fetched for m in each.modules.values()}
    if (manifest.folder / ASSERTION_FILE).is_file():
        yield manifest.folder / ASSERTION_FILE
    for owner in manifest.owners.values():
        yield manifest.folder / owner.key
    for gate in manifest.gates:
        yield from gate.grants
    for package in manifest.packages:
        yield from (path for path in package.modules.values() if path not in fetched)
    if manifest.radio is not None:
        yield manifest.radio.path
    for modules in manifest.modules.values():
        yield from (module.path for module in modules if module.path not in fetched)


def _below(place: PurePosixPath, up: int) -> str:
    """The name in the archive of a path from the manifest's folder, which is `up` folders down."""
    own = place.parts.count("..")  # normalised: they all stand first
    return "/".join((*[_DOWN] * (up - own), *place.parts[own:]))


def _check_unchanged(manifest: Manifest) -> None:
    known = {m.path: m.digest for modules in manifest.modules.values() for m in modules}
    if manifest.radio is not None:
        known[manifest.radio.path] = manifest.radio.digest
    for path, digest in known.items():
        if hashlib.sha256(path.read_bytes()).digest() != digest:
            raise CoffretError(f"{path}: changed during the build", "build it again", NO)


def _write(folder: Path, entry: zipfile.ZipInfo, data: bytes) -> None:
    parts = entry.filename.split("/")
    if entry.compress_type != zipfile.ZIP_STORED or not all(map(_plain, parts)):
        raise ValueError(f"{entry.filename!r} is no stored file of an appliance")
    path = folder.joinpath(*parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        file.write(data)


def _plain(part: str) -> bool:
    return part not in ("", ".", "..") and not set(part) & set("\\:\0")
