# SPDX-License-Identifier: Apache-2.0
"""Another machine, as far as this one can be: another checkout, user, home, clock, zone, locale."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from firmware.compiler.object_cache import user_cache

REPOSITORY = Path(__file__).parents[2]
PACKAGES = ("attest", "boards", "enclaves", "examples", "firmware", "flasher")
# What is fetched is an input of a build, not a cache of its results.
FETCHED = ("sources", "stubs")
DATE = "2031-02-03 04:05:06"
NOBODY = 65534  # Debian's, and every other's (nobody, nogroup)

_PROBE = """
import firmware, json, locale, os, time
print(json.dumps({
    "year": time.gmtime().tm_year, "user": os.getuid(), "zone": time.timezone,
    "encoding": locale.getencoding(), "file": os.fsencode(firmware.__file__).decode(),
}))
"""


@dataclass(frozen=True, slots=True)
class Place:
    """A checkout and the surroundings in which its `coffret` runs."""

    checkout: Path
    home: Path
    environment: dict[str, str]
    before: tuple[str, ...] = ()  # what the command line begins with
    umask: int = 0o022
    user: int = -1  # whose the files there are; -1: ours

    def coffret(self, *words: object, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Runs a verb there, from a directory that has nothing to do with it."""
        command = (sys.executable, str(self.checkout / "coffret.py"), *map(str, words))
        return self._run(command, check)

    def facts(self) -> dict[str, object]:
        """What a program there sees of its surroundings."""
        done = self._run((sys.executable, "-c", _PROBE), check=True)
        found: dict[str, object] = json.loads(done.stdout)
        return found

    def give(self, folder: Path, name: str) -> Path:
        """A copy of a folder in the home there, and its user's."""
        copy = self.home / name
        shutil.copytree(folder, copy)
        self.own(copy)
        return copy

    def own(self, top: Path) -> None:
        """Makes a file, or a folder with all in it, the user's."""
        for path in (top, *top.rglob("*")):
            os.chown(path, self.user, self.user)

    def _run(self, command: Sequence[str], check: bool) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*self.before, *command],
            cwd=self.home,
            env=self.environment,
            umask=self.umask,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        assert done.returncode == 0 or not check, done.stderr
        return done


def here(folder: Path) -> Place:
    """This checkout, this user, the caches as they are; only the home is `folder`'s."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    return Place(REPOSITORY, folder, environment)


@contextmanager
def elsewhere() -> Iterator[Place]:
    """A copy of the checkout in a place with blanks and accents in its name, and nothing cached.

    Its user is another one if we may become one: it may still read where only we can, so that
    it does not matter whose the interpreter is.
    """
    with tempfile.TemporaryDirectory(prefix="coffret-") as name:
        root = Path(name)
        root.chmod(0o755)
        checkout, home = root / "ein andérer Ort", root / "home of nobody"
        ignore = shutil.ignore_patterns("__pycache__")
        for package in PACKAGES:
            shutil.copytree(REPOSITORY / package, checkout / package, ignore=ignore)
        shutil.copy(REPOSITORY / "coffret.py", checkout)
        cache = home / "cache"
        for fetched in FETCHED:
            shutil.copytree(user_cache() / fetched, cache / "coffret" / fetched)
        _locale(root / "locales")
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "USER": "nobody",
            "LOGNAME": "nobody",
            "XDG_CACHE_HOME": str(cache),
            "LOCPATH": str(root / "locales"),
            "LANG": "tr_TR",
            "LC_ALL": "tr_TR",
            "PYTHONUTF8": "0",
            "TZ": "Pacific/Kiritimati",
            "SOURCE_DATE_EPOCH": "1",
            "PYTHONHASHSEED": "7",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": str(checkout),
        }
        before: tuple[str, ...] = ("faketime", "-f", f"@{DATE}")
        user = -1
        if os.getuid() == 0:
            before, user = (*_as_nobody(), *before), NOBODY
        place = Place(checkout, home, environment, before, umask=0o077, user=user)
        place.own(home)
        yield place


def _as_nobody() -> tuple[str, ...]:
    ids = ("--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups")
    return ("setpriv", *ids, "--inh-caps", "+dac_override", "--ambient-caps", "+dac_override")


def _locale(folder: Path) -> None:
    """Turkish in ISO 8859-9: files are not UTF-8 unless it is said, and I is no capital i."""
    folder.mkdir()
    command = ["localedef", "-i", "tr_TR", "-f", "ISO-8859-9", str(folder / "tr_TR")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (folder / "tr_TR" / "LC_CTYPE").exists(), done.stderr
