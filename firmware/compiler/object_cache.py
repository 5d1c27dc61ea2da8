# SPDX-License-Identifier: Apache-2.0
"""A content-addressed store of compiled objects, shared by every build of this user.

An object's key is a digest of everything that went into it (compiler, flags, source bytes, the
bytes of every header it included) and of nothing else, so that two checkouts in different
directories share entries. Which headers a source includes is only known after compiling it once;
that list is kept beside the objects.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

# A header list changes only when an #include does; a few are kept so that switching branches stays
# warm.
_HEADER_LISTS_KEPT = 8


def user_cache() -> Path:
    """The directory for everything that can be made again (XDG Base Directory Specification)."""
    root = os.environ.get("XDG_CACHE_HOME", "")
    # The specification says a relative value is invalid and must be ignored.
    base = Path(root) if root and Path(root).is_absolute() else Path.home() / ".cache"
    return base / "coffret"


def write_atomically(path: Path, data: bytes) -> None:
    """Writes `data` beside `path`, then renames: a reader sees the old file or the new one, never
    half.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not tempfile: its files are 0600, and a build product is for everybody the umask lets in.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        with temporary.open("xb") as file:
            file.write(data)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_if_new(path: Path, data: bytes) -> None:
    """Writes a file unless it holds just that already, so that its date stays."""
    if not path.is_file() or path.read_bytes() != data:
        write_atomically(path, data)


def digest_of(parts: Iterable[str | bytes]) -> str:
    """SHA-256, in hex, over the parts, each with its length, so that no two lists collide."""
    state = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        state.update(len(data).to_bytes(8, "little"))
        state.update(data)
    return state.hexdigest()


@dataclass(frozen=True, slots=True)
class FileDigests:
    """SHA-256 of files, remembered for as long as size and time of change stay the same."""

    _known: dict[Path, tuple[int, int, str]] = field(default_factory=dict)

    def of(self, path: Path) -> str:
        status = path.stat()
        known = self._known.get(path)
        if known is not None and known[:2] == (status.st_size, status.st_mtime_ns):
            return known[2]
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        self._known[path] = (status.st_size, status.st_mtime_ns, digest)
        return digest


@dataclass(frozen=True, slots=True)
class Roots:
    """Directories by label. Paths enter keys and objects as `label/relative`, never as a place on
    this machine.
    """

    by_label: Mapping[str, Path]

    def label(self, path: Path) -> str | None:
        """`label/relative` of a path, by the deepest root that holds it; None if none does."""
        best: tuple[int, str] | None = None
        for label, root in self.by_label.items():
            if path.is_relative_to(root):
                depth = len(root.parts)
                if best is None or depth > best[0]:
                    best = (depth, f"{label}/{path.relative_to(root).as_posix()}")
        return best[1] if best else None

    def path(self, label: str) -> Path:
        """The file a label names. KeyError if there is no such root."""
        name, _, relative = label.partition("/")
        return self.by_label[name] / relative


@dataclass(frozen=True, slots=True)
class ObjectCache:
    """Objects under `directory`, found by what they are made of."""

    directory: Path
    digests: FileDigests = field(default_factory=FileDigests)

    def entry(self, key: str, suffix: str = ".o") -> Path:
        """Where the object of that key is or will be."""
        return self.directory / key[:2] / f"{key[2:]}{suffix}"

    def store(self, key: str, data: bytes, suffix: str = ".o") -> Path:
        """Keeps an object; returns its path."""
        path = self.entry(key, suffix)
        write_atomically(path, data)
        return path

    def find(self, source_key: str, roots: Roots) -> Path | None:
        """The object of a source (key: compiler, flags, source bytes) with today's headers, or
        None.
        """
        for headers in self._header_lists(source_key):
            key = self._object_key(source_key, headers, roots)
            if key is not None and (path := self.entry(key)).is_file():
                return path
        return None

    def keep(self, source_key: str, headers: Sequence[str], roots: Roots, data: bytes) -> Path:
        """Stores a fresh object and the labels of the headers it depends on."""
        key = self._object_key(source_key, headers, roots)
        if key is None:
            raise FileNotFoundError("a header vanished while its source was compiled")
        path = self.store(key, data)
        lists = [known for known in self._header_lists(source_key) if known != list(headers)]
        kept = [list(headers), *lists][:_HEADER_LISTS_KEPT]
        self.store(source_key, json.dumps(kept).encode(), ".headers")
        return path

    def _header_lists(self, source_key: str) -> list[list[str]]:
        try:
            lists = json.loads(self.entry(source_key, ".headers").read_bytes())
        except (FileNotFoundError, ValueError):
            return []
        return [[str(label) for label in labels] for labels in lists]

    def _object_key(self, source_key: str, headers: Sequence[str], roots: Roots) -> str | None:
        parts = [source_key]
        for label in headers:
            try:
                parts += [label, self.digests.of(roots.path(label))]
            except (FileNotFoundError, NotADirectoryError, KeyError):
                return None
        return digest_of(parts)
