# SPDX-License-Identifier: Apache-2.0
"""The pinned MicroPython and mbedTLS sources: found, fetched, verified.

A lock (`firmware/locks/NAME-VERSION.sha256`, lines `SHA-256  path`) names every file that a build
may read; the SHA-256 of the lock is the tree's identity. A tree comes from an environment variable,
from the user's cache, or from Debian's source package, fetched with the system's package client
under a configuration of our own, so that nothing of the system's is touched and no host is named
here. Whatever the origin, every file must match the lock.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import secrets
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from boards.errors import ENVIRONMENT, CoffretError
from firmware.compiler.debian_source import FetchError, fetch_source_archive, read_archive
from firmware.compiler.object_cache import user_cache, write_atomically

_LOCKS = Path(__file__).parents[1] / "locks"


class SourceError(CoffretError):
    """A source tree is missing or is not the pinned one."""

    def __init__(self, message: str, mend: str) -> None:
        super().__init__(message, mend, ENVIRONMENT)


@dataclass(frozen=True, slots=True)
class Project:
    """A project we build from source, and which of its files a lock covers (globs from the tree's
    root).
    """

    name: str
    variable: str  # environment variable that names a tree
    versions: tuple[str, ...]  # accepted, preferred first; each has a lock
    patterns: tuple[str, ...]
    package: str  # the system's source package that has it


MICROPYTHON = Project(
    "micropython",
    "COFFRET_MICROPYTHON",
    ("1.25.0",),
    (
        "LICENSE",
        "py/*.[ch]",
        "py/make*.py",
        "tools/mpy-tool.py",
        "extmod/mod*.[ch]",
        "extmod/misc.h",
        "drivers/bus/softspi.c",
        "drivers/bus/spi.h",
        "extmod/machine_adc.c",
        "extmod/machine_i2c.c",
        "extmod/machine_mem.c",
        "extmod/machine_pinbase.c",
        "extmod/machine_pwm.c",
        "extmod/machine_signal.c",
        "extmod/machine_spi.c",
        "extmod/machine_uart.c",
        "extmod/machine_wdt.c",
        "extmod/virtpin.[ch]",
        "extmod/vfs.h",
        "extmod/asyncio/*.py",
        "shared/libc/*.c",
        "shared/runtime/gchelper*",
        "shared/runtime/interrupt_char.h",
        "shared/runtime/mpirq.h",
        "shared/runtime/pyexec.h",
        "shared/timeutils/*",
        "lib/crypto-algorithms/*",
        "lib/libm/*.[ch]",
        "lib/libm_dbl/*.[ch]",
        "lib/re1.5/*.[ch]",
        "lib/uzlib/*.[ch]",
    ),
    "micropython",
)
MBEDTLS = Project(
    "mbedtls",
    "COFFRET_MBEDTLS",
    ("3.6.6",),
    (
        "LICENSE",
        "include/mbedtls/*.h",
        "include/psa/*.h",
        "library/*.h",
        "library/constant_time.c",
        "library/hkdf.c",
        "library/lmots.c",
        "library/lms.c",
        "library/md.c",
        "library/platform.c",
        "library/platform_util.c",
        "library/sha256.c",
        "3rdparty/p256-m/p256-m/*",
    ),
    "mbedtls",
)
# Nothing is built into an image from it: MicroPython's own tests and benchmarks, and all that its
# port to QEMU is made of, to be measured against.
UPSTREAM = Project(
    "micropython-upstream",
    "COFFRET_MICROPYTHON",
    ("1.25.0",),
    (
        "LICENSE",
        "extmod/**/*.[ch]",
        "lib/libm/*.[ch]",
        "lib/oofatfs/*",
        "lib/crypto-algorithms/*",
        "lib/re1.5/*.[ch]",
        "lib/uzlib/*.[ch]",
        "ports/qemu/**/*",
        "py/*.[ch]",
        "py/make*.py",
        "shared/**/*.[chsS]",
        "tools/mpy-tool.py",
        "tests/basics/*",
        "tests/extmod/*",
        "tests/float/*",
        "tests/micropython/*",
        "tests/perf_bench/*",
    ),
    "micropython",
)
PROJECTS = (MICROPYTHON, MBEDTLS)


@dataclass(frozen=True, slots=True)
class Lock:
    """The files of one version of a project, and their SHA-256 in hex."""

    project: Project
    version: str
    files: Mapping[str, str]
    identity: str  # SHA-256 of the lock file, hex

    @property
    def cache(self) -> Path:
        """Where the user's copy of the locked files is or will be."""
        directory = f"{self.project.name}-{self.version}-{self.identity[:16]}"
        return user_cache() / "sources" / directory


@dataclass(frozen=True, slots=True)
class Tree:
    """A verified source tree."""

    name: str
    version: str
    path: Path
    identity: str  # SHA-256 of its lock, hex
    origin: Literal["environment", "cache", "fetched"]


@dataclass(frozen=True, slots=True)
class Trees:
    """Everything that an image is built from and that is not ours."""

    micropython: Tree
    mbedtls: Tree


def load_lock(project: Project, version: str) -> Lock:
    """Reads a lock of this package."""
    data = (_LOCKS / f"{project.name}-{version}.sha256").read_bytes()
    pairs = (line.split("  ", 1) for line in data.decode().splitlines() if not line.startswith("#"))
    files = {path: digest for digest, path in pairs}
    return Lock(project, version, files, hashlib.sha256(data).hexdigest())


def locks(project: Project) -> Iterator[Lock]:
    """The locks of every accepted version, preferred first."""
    return (load_lock(project, version) for version in project.versions)


def first_difference(lock: Lock, tree: Path) -> str | None:
    """What is wrong with the first file of the tree that differs from the lock, or None if none
    does.
    """
    for path, digest in sorted(lock.files.items()):
        try:
            found = hashlib.sha256((tree / path).read_bytes()).hexdigest()
        except FileNotFoundError:
            return f"{path} is missing"
        except OSError as error:
            return f"{path} cannot be read ({error.strerror})"
        if found != digest:
            return f"{path} differs"
    return None


def find_tree(project: Project, environment: Mapping[str, str] | None = None) -> Tree:
    """The project's tree: the one its variable names, else the cached, else a fetched one.

    Raises SourceError if the named tree is not a pinned one, or if nothing can be fetched.
    """
    variables = os.environ if environment is None else environment
    if named := variables.get(project.variable, ""):
        return _named_tree(project, Path(named))
    for lock in locks(project):
        if lock.cache.is_dir():
            if first_difference(lock, lock.cache) is None:
                return _tree(lock, lock.cache, "cache")
            # Damaged: what is not verified is not kept.
            shutil.rmtree(lock.cache)
    return _fetched_tree(project)


def find_trees(environment: Mapping[str, str] | None = None) -> Trees:
    """Both trees. See `find_tree`."""
    return Trees(find_tree(MICROPYTHON, environment), find_tree(MBEDTLS, environment))


def _tree(lock: Lock, path: Path, origin: Literal["environment", "cache", "fetched"]) -> Tree:
    return Tree(lock.project.name, lock.version, path, lock.identity, origin)


def _named_tree(project: Project, path: Path) -> Tree:
    if not path.is_dir():
        raise SourceError(
            f"{project.variable}={path}: no such directory",
            f"point it at an unpacked {project.name} {_accepted(project)}, or unset it",
        )
    wrong = ""
    for lock in locks(project):
        difference = first_difference(lock, path)
        if difference is None:
            return _tree(lock, path.resolve(), "environment")
        wrong = wrong or f"{difference} from the pinned {lock.version}"
    raise SourceError(
        f"{project.variable}={path}: {wrong}",
        f"use an unchanged {project.name} {_accepted(project)}, or unset {project.variable}",
    )


def _fetched_tree(project: Project) -> Tree:
    mend = (
        f"unpack the upstream release {project.name} {_accepted(project)} yourself and set "
        f"{project.variable} to its directory, or run this once where apt and a network are"
    )
    try:
        with fetch_source_archive(project.package, project.versions) as (version, archive):
            lock = load_lock(project, version)
            files = read_archive(archive, lock.files)
    except FetchError as error:
        raise SourceError(f"cannot fetch the sources of {project.name}: {error}", mend) from None
    for path, digest in sorted(lock.files.items()):
        if path not in files or hashlib.sha256(files[path]).hexdigest() != digest:
            what = "differs" if path in files else "is missing"
            raise SourceError(f"fetched {project.name} {version}: {path} {what}", mend)
    _keep(lock, files)
    return _tree(lock, lock.cache, "fetched")


def _keep(lock: Lock, files: Mapping[str, bytes]) -> None:
    """Writes the files into the cache as one step: a build sees the whole tree or none."""
    temporary = lock.cache.with_name(f".{lock.cache.name}.{secrets.token_hex(6)}")
    try:
        for path, data in files.items():
            target = temporary / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        try:
            temporary.rename(lock.cache)
        except OSError:
            # Another process was faster; its tree was verified as ours was.
            if first_difference(lock, lock.cache) is not None:
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _accepted(project: Project) -> str:
    return " or ".join(project.versions)


def write_lock(project: Project, version: str, tree: Path) -> Path:
    """Makes the lock of a new version from a tree that a maintainer has checked."""
    found = {path for pattern in project.patterns for path in tree.glob(pattern) if path.is_file()}
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(tree).as_posix()}\n"
        for path in sorted(found, key=lambda path: path.relative_to(tree).as_posix())
    ]
    target = _LOCKS / f"{project.name}-{version}.sha256"
    write_atomically(target, "".join(lines).encode())
    return target


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m firmware.compiler.sources`: fetches what is missing, prints one line a tree.

    Exit 0, or 3 with a mend.
    """
    parser = argparse.ArgumentParser(
        prog="python -m firmware.compiler.sources", description=main.__doc__
    )
    parser.add_argument(
        "--lock",
        nargs=3,
        metavar=("NAME", "VERSION", "TREE"),
        help="write a lock (for maintainers)",
    )
    parser.add_argument("--quiet", action="store_true", help="say only what had to be fetched")
    options = parser.parse_args(arguments)
    if options.lock:
        name, version, tree = options.lock
        project = next((p for p in (*PROJECTS, UPSTREAM) if p.name == name), None)
        if project is None:
            parser.error(f"--lock: no project {name}")
        print(write_lock(project, version, Path(tree)))
        return 0
    try:
        for project in PROJECTS:
            found = find_tree(project)
            if found.origin == "fetched" or not options.quiet:
                print(f"{found.name} {found.version} {found.path} ({found.origin})", flush=True)
    except CoffretError as error:
        print(f"error: {error.message}\nmend: {error.mend}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
