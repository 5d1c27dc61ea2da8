# SPDX-License-Identifier: Apache-2.0
"""A real PostgreSQL server of the tests' own: a private cluster behind a Unix socket.

    def test_something(postgresql: Database) -> None:
        inventory = open_inventory(postgresql.url())

One server a test worker, a new empty database a test. Debian's package brings the programs; its
own cluster is never touched.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from urllib.parse import quote

import pytest

USER = "coffret"
_PACKAGE_USER = "postgres"  # the server refuses to run as root
_PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class Database:
    """One database. `socket` is the folder in which the server's socket is."""

    socket: Path
    name: str

    def url(self, driver: str = "pg8000") -> str:
        """A SQLAlchemy URL for `driver`: pg8000, asyncpg or psycopg; "" gives libpq's own form."""
        folder = quote(str(self.socket), safe="")
        if driver == "pg8000":
            return f"postgresql+pg8000://{USER}@/{self.name}?unix_sock={folder}%2F.s.PGSQL.5432"
        scheme = f"postgresql+{driver}" if driver else "postgresql"
        return f"{scheme}://{USER}@/{self.name}?host={folder}"


class Server:
    """A running server."""

    def __init__(self, socket: Path, programs: Path) -> None:
        self.socket = socket
        self._programs = programs
        self._numbers = count(1)

    def database(self) -> Database:
        """A new, empty database."""
        name = f"test_{next(self._numbers)}"
        program = self._programs / "createdb"
        command = [str(program), "-h", str(self.socket), "-U", USER, name]
        subprocess.run(command, check=True, capture_output=True, timeout=_PATIENCE_S)
        return Database(self.socket, name)


@contextmanager
def server(*, durable: bool = False, connections: int = 100) -> Iterator[Server]:
    """Start a server. Without `durable` it does not wait for the disk: quick, and still safe
    against everything but a crash of the machine. It takes `connections` at most.
    """
    programs = _programs()
    folder = Path(tempfile.mkdtemp(prefix="coffret-pg-"))  # a socket's path has 107 bytes at most
    user: dict[str, str | int] = {}
    if os.geteuid() == 0:
        user = {"user": _PACKAGE_USER, "group": _PACKAGE_USER}
        shutil.chown(folder, _PACKAGE_USER, _PACKAGE_USER)
    data = folder / "data"
    try:
        subprocess.run(
            [programs / "initdb", "-D", data, "-U", USER, "-A", "trust", "-E", "UTF8", "--no-sync"],
            check=True,
            capture_output=True,
            cwd=folder,
            timeout=_PATIENCE_S,
            **user,  # type: ignore[call-overload]
        )
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": folder,
            "max_connections": connections,
        }
        if not durable:
            settings |= {"fsync": "off"}
        options = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        with (folder / "log").open("wb") as log:
            process: subprocess.Popen[bytes] = subprocess.Popen(
                [programs / "postgres", "-D", data, *options],
                stdout=log,
                stderr=log,
                cwd=folder,
                **user,  # type: ignore[call-overload]
            )
        try:
            _wait(programs, folder, process)
            yield Server(folder, programs)
        finally:
            process.send_signal(signal.SIGINT)  # "fast" shutdown
            process.wait(_PATIENCE_S)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[Server]:
    """This worker's server."""
    with server() as running:
        yield running


@pytest.fixture
def postgresql(postgresql_server: Server) -> Database:
    """An empty database of this test's own."""
    return postgresql_server.database()


def _programs() -> Path:
    """The newest version that is installed; psql alone may be there without a server."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/postgres")]
    if found:
        return max(found, key=lambda path: int(path.parent.name))
    if program := shutil.which("postgres"):
        return Path(program).parent
    raise RuntimeError("no PostgreSQL server; mend: ./dev test installs it")


def _wait(programs: Path, folder: Path, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + _PATIENCE_S
    ready = [str(programs / "pg_isready"), "-q", "-h", str(folder), "-U", USER]
    while subprocess.run(ready, check=False, timeout=_PATIENCE_S).returncode != 0:
        if process.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"PostgreSQL did not start: {(folder / 'log').read_text()}")
        time.sleep(0.05)
