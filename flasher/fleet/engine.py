# SPDX-License-Identifier: Apache-2.0
"""The workflow engine beside the inventory, and the lock that holds a worker's name."""

from __future__ import annotations

import fcntl
import hashlib
import os
from pathlib import Path

import sqlalchemy as sa
from dbos import DBOSConfig

from attest.inventory import ABANDONED_AFTER, Inventory
from boards.errors import ENVIRONMENT, CoffretError
from flasher.state import runtime_root

# The workflow's shape: one that another release began is not recovered by this one.
_SHAPE = "coffret-fleet-2"


def only_one(inventory: Inventory, name: str) -> int:
    """Holds this computer's lock on a worker's name, so that its leases are really its own.

    A frozen process holds it too: nobody can take its name while it may wake up.
    """
    url = inventory.engine.url.render_as_string(hide_password=True)
    digest = hashlib.sha256(f"{url}\0{name}".encode()).hexdigest()[:16]
    fd = os.open(_locks() / digest, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise CoffretError(
            f"a worker called {name} runs on this computer already",
            "wait until it is done or end it; or give this one another --name",
            ENVIRONMENT,
        ) from None
    return fd


def _locks() -> Path:
    folder = runtime_root() / ".workers"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _for_psycopg(url: sa.URL) -> sa.URL:
    """The same database through DBOS's driver, which names a socket's folder as its host."""
    socket = url.query.get("unix_sock")
    if isinstance(socket, str):
        url = url.difference_update_query(["unix_sock"])
        url = url.update_query_dict({"host": str(Path(socket).parent)})
    url = url.update_query_dict({"options": f"-c {ABANDONED_AFTER}"})
    return url.set(drivername="postgresql+psycopg")


def configuration(inventory: Inventory, name: str) -> DBOSConfig:
    """DBOS beside the inventory: a file of its own for SQLite, a schema of its own else."""
    url = inventory.engine.url
    if url.get_backend_name() == "sqlite":
        where = f"sqlite:///{url.database}-workflows"
    else:
        where = _for_psycopg(url).render_as_string(hide_password=False)
    return {
        "name": "coffret-fleet",
        "system_database_url": where,
        "executor_id": name,
        "application_version": _SHAPE,
        "console_log_level": "CRITICAL",
        "use_listen_notify": False,
    }
