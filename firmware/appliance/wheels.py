# SPDX-License-Identifier: Apache-2.0
"""Wheels of the package index, pinned by digest: fetched by pip, never run, unpacked by us."""

from __future__ import annotations

import secrets
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


class WheelError(Exception):
    """pip gave no wheel. `said`: its first error, "" for none; `other_digest`: of another file."""

    def __init__(self, said: str, *, other_digest: bool) -> None:
        super().__init__(said)
        self.said = said
        self.other_digest = other_digest


@contextmanager
def fetched(requirement: str, sha256: str) -> Iterator[Path]:
    """The wheel of `NAME==VERSION` with this digest, while the context lasts. Raises WheelError."""
    with tempfile.TemporaryDirectory(prefix="coffret-wheel-") as directory:
        wanted = Path(directory) / "requirements.txt"
        wanted.write_text(f"{requirement} --hash=sha256:{sha256}\n", encoding="ascii")
        # Wheels only: to look at anything else, pip would run it.
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--disable-pip-version-check", "--only-binary", ":all:", "--require-hashes"]
        done = subprocess.run(
            [*command, "--dest", directory, "--requirement", str(wanted)],
            capture_output=True,
            text=True,
            check=False,
        )
        wheels = list(Path(directory).glob("*.whl"))
        other_digest = "hash" in done.stderr.lower()
        if done.returncode != 0 or len(wheels) != 1 or other_digest:
            said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
            raise WheelError(said[0] if said else "", other_digest=other_digest)
        yield wheels[0]


def unpack(
    wheel: Path,
    folder: Path,
    chosen: Callable[[Sequence[zipfile.ZipInfo]], Iterable[zipfile.ZipInfo]],
) -> None:
    """The entries that `chosen` takes, into `folder`, which appears whole. Their names lead nowhere
    else: `chosen` sees to it.
    """
    temporary = folder.with_name(f".{folder.name}.{secrets.token_hex(6)}")
    temporary.mkdir(parents=True)
    try:
        with zipfile.ZipFile(wheel) as archive:
            for entry in chosen(archive.infolist()):
                target = temporary / entry.filename
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(archive.read(entry))
        try:
            temporary.rename(folder)
        except OSError:  # another process was faster
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
