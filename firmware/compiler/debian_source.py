# SPDX-License-Identifier: Apache-2.0
"""Upstream release archives out of Debian's source packages, by apt with its own configuration.

Only the mirror's address is taken from the system (the first ones apt itself uses); lists, archives
and sources live in a temporary directory. Works without being root. apt checks the archive's
signature and digests.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

# Releases whose source package is an accepted version; the name of a release stays when it grows
# old.
SUITES = ("trixie", "testing")

_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_TIMEOUT_S = 300
_FILE_MAX = 4 << 20  # bytes; the largest locked file is far below


class FetchError(Exception):
    """The package client is missing, or none of its mirrors has an accepted version."""


@dataclass(frozen=True, slots=True)
class _Apt:
    """apt-get with everything it keeps below `directory`."""

    directory: Path

    def use(self, mirror: str, suite: str) -> None:
        signed = f" [signed-by={_KEYRING}]" if _KEYRING.is_file() else ""
        for part in ("lists/partial", "cache/archives/partial"):
            (self.directory / part).mkdir(parents=True, exist_ok=True)
        line = f"deb-src{signed} {mirror} {suite} main\n"
        (self.directory / "sources.list").write_text(line)

    def run(self, *arguments: str) -> None:
        options = {
            "Dir::Etc::SourceList": self.directory / "sources.list",
            "Dir::Etc::SourceParts": "/dev/null",
            "Dir::State::Lists": self.directory / "lists",
            "Dir::Cache": self.directory / "cache",
            "Acquire::Languages": "none",
            "APT::Get::List-Cleanup": "true",
        }
        command = ["apt-get", "-qq"]
        for name, value in options.items():
            command += ["-o", f"{name}={value}"]
        _run([*command, *arguments], self.directory)


def _run(command: list[str], directory: Path | None = None) -> str:
    try:
        result = subprocess.run(
            command, cwd=directory, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except FileNotFoundError:
        raise FetchError(f"no {command[0]} on this machine") from None
    except subprocess.TimeoutExpired:
        raise FetchError(f"{command[0]} did not answer within {_TIMEOUT_S} s") from None
    if result.returncode != 0:
        lines = [line for line in result.stderr.splitlines() if line.startswith("E:")]
        raise FetchError(lines[0] if lines else f"{command[0]} failed ({result.returncode})")
    return result.stdout


def mirrors() -> tuple[str, ...]:
    """Addresses of the package archives this system uses, without those that only hold security
    updates.
    """
    listed = _run(["apt-get", "indextargets", "--format", "$(REPO_URI)"]).split()
    wanted = [uri for uri in listed if uri.startswith(("http://", "https://"))]
    return tuple(dict.fromkeys(uri for uri in wanted if "security" not in uri))


@contextmanager
def fetch_source_archive(package: str, versions: Collection[str]) -> Iterator[tuple[str, Path]]:
    """Downloads the upstream archive of a source package; yields its version and its path.

    The version is one of `versions`. The file is gone when the context ends. Raises FetchError.
    """
    reasons: list[str] = []
    found: tuple[str, Path] | None = None
    with tempfile.TemporaryDirectory(prefix="coffret-apt-") as directory:
        places = [(mirror, suite) for mirror in mirrors() for suite in SUITES]
        for number, (mirror, suite) in enumerate(places):
            place = Path(directory) / str(number)
            apt = _Apt(place)
            try:
                apt.use(mirror, suite)
                apt.run("update")
                apt.run("source", "--download-only", package)
                found = _upstream(package, place, versions)
            except FetchError as error:
                reasons.append(f"{suite}: {error}")
                shutil.rmtree(place, ignore_errors=True)
                continue
            break
        if found is None:
            raise FetchError("; ".join(reasons) or "apt has no http mirror configured")
        yield found


def _upstream(package: str, directory: Path, versions: Collection[str]) -> tuple[str, Path]:
    pattern = re.compile(rf"{re.escape(package)}_([0-9.]+)[^_]*\.orig\.tar\.\w+")
    seen = []
    for path in sorted(directory.iterdir()):
        if match := pattern.fullmatch(path.name):
            if match[1] in versions:
                return match[1], path
            seen.append(match[1])
    raise FetchError(f"it has {package} {', '.join(seen) or 'not at all'}")


def read_archive(archive: Path, wanted: Collection[str]) -> Mapping[str, bytes]:
    """Bytes of the wanted files (paths below the archive's top directory). Nothing is unpacked to
    disk.
    """
    files: dict[str, bytes] = {}
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                path = "/".join(PurePosixPath(member.name).parts[1:])
                if path in wanted and member.isfile() and member.size <= _FILE_MAX:
                    stream = tar.extractfile(member)
                    if stream is not None:
                        files[path] = stream.read()
    except (tarfile.TarError, OSError, EOFError) as error:
        raise FetchError(f"{archive.name} cannot be read: {error}") from None
    return files
